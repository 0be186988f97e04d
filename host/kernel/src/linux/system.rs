//! System calls that no safe crate wraps. One call a function, each with the reason why it is sound.
#![allow(unsafe_code)] // The first invariant of the architecture: unsafe stands in this crate, one system call at a time.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use nix::errno::Errno;

/// SO_NETNS_COOKIE of include/uapi/asm-generic/socket.h; x86, arm and riscv share the number.
const SO_NETNS_COOKIE: libc::c_int = 71;

// include/uapi/linux/nsfs.h.
nix::ioctl_none_bad!(ns_get_userns_raw, nix::request_code_none!(0xb7, 0x1));
nix::ioctl_none_bad!(ns_get_nstype_raw, nix::request_code_none!(0xb7, 0x3));
nix::ioctl_read_bad!(ns_get_owner_uid_raw, nix::request_code_none!(0xb7, 0x4), libc::uid_t);
// include/uapi/linux/pidfd.h, Linux 6.11.
nix::ioctl_none_bad!(pidfd_get_net_raw, nix::request_code_none!(0xff, 0x4));
// include/uapi/linux/if_tun.h.
nix::ioctl_write_ptr_bad!(tun_set_iff_raw, libc::TUNSETIFF, libc::ifreq);
nix::ioctl_write_ptr_bad!(tun_set_index_raw, libc::TUNSETIFINDEX, libc::c_uint);
nix::ioctl_write_int_bad!(tun_set_persist_raw, libc::TUNSETPERSIST);
nix::ioctl_write_int_bad!(tun_set_owner_raw, libc::TUNSETOWNER);
nix::ioctl_write_int_bad!(tun_set_group_raw, libc::TUNSETGROUP);

/// The cookie of the network namespace that a socket belongs to; never used twice within one boot.
pub(super) fn netns_cookie(socket: &impl AsFd) -> io::Result<u64> {
    let mut cookie = 0u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    let (fd, value) = (socket.as_fd().as_raw_fd(), (&raw mut cookie).cast());
    // SAFETY: `value` points to `length` writable bytes that outlive the call, and the descriptor is borrowed, so it is open.
    let answer = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, SO_NETNS_COOKIE, value, &raw mut length) };
    Errno::result(answer)?;
    Ok(cookie)
}

/// Lets a netlink socket not hear what another one, known by its port, makes the kernel tell. A port of zero is nobody's.
pub(super) fn hear_no_more_of(socket: &impl AsFd, port: u32) -> io::Result<()> {
    /// Where nlmsg_pid is in struct nlmsghdr.
    const PORT: u32 = 12;
    let instruction = |code: u32, jt, jf, k| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    // A classic BPF load takes the bytes to be big-endian, whatever they are.
    let port = u32::from_be_bytes(port.to_ne_bytes());
    let mut program = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, PORT),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, port),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
    ];
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    let (fd, value) = (socket.as_fd().as_raw_fd(), (&raw const filter).cast());
    let length = size_of::<libc::sock_fprog>() as libc::socklen_t;
    // SAFETY: `value` points to `length` bytes of a program that outlives the call, which copies it; the descriptor is borrowed, so it is open.
    let answer = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, value, length) };
    Errno::result(answer)?;
    Ok(())
}

/// The kind of a namespace as a CLONE_NEW* flag. ENOTTY: the descriptor is no namespace.
pub(super) fn namespace_type(namespace: &impl AsFd) -> Result<i32, Errno> {
    // SAFETY: the request takes no argument, and the descriptor is borrowed, so it is open.
    unsafe { ns_get_nstype_raw(namespace.as_fd().as_raw_fd()) }
}

/// The user namespace that owns a namespace.
pub(super) fn owning_user_namespace(namespace: &impl AsFd) -> Result<OwnedFd, Errno> {
    // SAFETY: the request takes no argument, and the descriptor is borrowed, so it is open.
    unsafe { ns_get_userns_raw(namespace.as_fd().as_raw_fd()) }.map(own)
}

/// The uid that made a user namespace, as the caller's own user namespace numbers it.
pub(super) fn owner_of_user_namespace(user: &impl AsFd) -> Result<u32, Errno> {
    let mut uid: libc::uid_t = 0;
    // SAFETY: the request writes one uid_t to a valid pointer, and the descriptor is borrowed, so it is open.
    unsafe { ns_get_owner_uid_raw(user.as_fd().as_raw_fd(), &raw mut uid) }.map(|_| uid)
}

/// A process, so that its number cannot pass to another one while we look at it.
pub(super) fn pidfd_open(pid: u32) -> Result<OwnedFd, Errno> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| Errno::ESRCH)?;
    // SAFETY: the call takes two integers and touches no memory of ours.
    let answer = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    // The kernel answers with a descriptor, which fits an int.
    Errno::result(answer).map(|fd| own(fd as RawFd))
}

/// The network namespace of a process. ENOTTY or EINVAL: this kernel is older than 6.11.
pub(super) fn network_namespace_of(pidfd: &impl AsFd) -> Result<OwnedFd, Errno> {
    // SAFETY: the request takes no argument, and the descriptor is borrowed, so it is open.
    unsafe { pidfd_get_net_raw(pidfd.as_fd().as_raw_fd()) }.map(own)
}

/// The index that the TUN or TAP device made next on this descriptor gets.
pub(super) fn tun_set_index(tun: &impl AsFd, index: u32) -> Result<(), Errno> {
    // SAFETY: the request reads one unsigned int from a valid pointer, and the descriptor is borrowed, so it is open.
    unsafe { tun_set_index_raw(tun.as_fd().as_raw_fd(), &raw const index) }.map(drop)
}

/// Makes a TUN or TAP device.
pub(super) fn tun_create(tun: &impl AsFd, name: &str, flags: i16) -> Result<(), Errno> {
    // SAFETY: ifreq is plain old data, for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes().take(libc::IFNAMSIZ - 1)) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = flags;
    // SAFETY: the request reads (and writes back) one ifreq at a valid pointer, and the descriptor is borrowed, so it is open.
    unsafe { tun_set_iff_raw(tun.as_fd().as_raw_fd(), &raw const request) }.map(drop)
}

/// Whether a TUN or TAP device stays when its descriptor is closed.
pub(super) fn tun_set_persistent(tun: &impl AsFd, persistent: bool) -> Result<(), Errno> {
    // SAFETY: the request takes an integer, and the descriptor is borrowed, so it is open.
    unsafe { tun_set_persist_raw(tun.as_fd().as_raw_fd(), persistent.into()) }.map(drop)
}

/// Who may open a TUN or TAP device besides root.
pub(super) fn tun_set_owner(tun: &impl AsFd, uid: u32) -> Result<(), Errno> {
    // SAFETY: the request takes an integer, and the descriptor is borrowed, so it is open.
    unsafe { tun_set_owner_raw(tun.as_fd().as_raw_fd(), uid.cast_signed()) }.map(drop)
}

/// Which group may open a TUN or TAP device besides root.
pub(super) fn tun_set_group(tun: &impl AsFd, gid: u32) -> Result<(), Errno> {
    // SAFETY: the request takes an integer, and the descriptor is borrowed, so it is open.
    unsafe { tun_set_group_raw(tun.as_fd().as_raw_fd(), gid.cast_signed()) }.map(drop)
}

/// Takes charge of a descriptor that a call has just returned.
fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: every caller passes what a successful call has just returned: open, and nobody else's.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
