//! Docker's calls on the real controller and the simulated kernel: as dockerd made them, mangled, late, and byte by byte.

mod fixture;
mod fuzz;
mod late;
mod raw;
mod replay;
