//! Descriptors that come over a socket (SCM_RIGHTS): each has an owner before anything can fail.
#![allow(unsafe_code)] // The first invariant of the architecture: unsafe stands in this crate, one system call at a time.

use std::{
    io,
    mem::{size_of, zeroed},
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use nix::errno::Errno;

/// Most descriptors in one message (SCM_MAX_FD of include/net/scm.h).
const MOST: usize = 253;
/// Bytes of control messages that hold as many, and a header; in words, for the header's alignment.
const ROOM: usize = MOST * size_of::<RawFd>() / size_of::<u64>() + 8;

/// Reads what is there, and the descriptors that came with it; those for which this process has no room are lost. Zero bytes: the other side
/// has closed.
///
/// # Errors
/// The system's, as for a read.
pub fn receive(socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = [0u64; ROOM];
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: msghdr is plain old data, for which all zeroes is a value.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    let flags = libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the message points to writable memory of the lengths that it says, all of which outlives the call; the descriptor is borrowed,
    // so it is open.
    let read = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut message, flags) };
    let read = Errno::result(read)?;
    // A length is no negative number where there is no error.
    Ok((read.unsigned_abs(), rights(&message)))
}

/// The descriptors of a message that was just received.
fn rights(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    // SAFETY: the kernel has filled the control messages within the length that it left in the header, and they are still there.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: the header is one of the message's, so it can be read.
        let control = unsafe { *header };
        if control.cmsg_level == libc::SOL_SOCKET && control.cmsg_type == libc::SCM_RIGHTS {
            // SAFETY: it computes a number.
            let head = unsafe { libc::CMSG_LEN(0) } as usize;
            let count = control.cmsg_len.saturating_sub(head) / size_of::<RawFd>();
            for place in 0..count {
                // SAFETY: the message carries that many descriptors behind its header; they need not be aligned.
                let raw = unsafe { libc::CMSG_DATA(header).cast::<RawFd>().add(place).read_unaligned() };
                // SAFETY: the kernel has just put it into this process's table, and nobody else knows it.
                descriptors.push(unsafe { OwnedFd::from_raw_fd(raw) });
            }
        }
        // SAFETY: as the first.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    descriptors
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{IoSlice, Read, Seek, Write},
        os::unix::net::UnixStream,
    };

    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

    use super::*;

    fn send(from: &UnixStream, bytes: &[u8], descriptors: &[RawFd]) {
        let rights = [ControlMessage::ScmRights(descriptors)];
        let rights = if descriptors.is_empty() { &[][..] } else { &rights[..] };
        sendmsg::<()>(
            from.as_raw_fd(),
            &[IoSlice::new(bytes)],
            rights,
            MsgFlags::empty(),
            None,
        )
        .unwrap();
    }

    #[test]
    fn descriptors_come_with_the_bytes_however_many_are_sent() {
        let (here, there) = UnixStream::pair().unwrap();
        for count in [0, 2, MOST] {
            send(&here, b"hello", &vec![here.as_raw_fd(); count]);
            let mut buffer = [0u8; 16];
            let (length, descriptors) = receive(&there, &mut buffer).unwrap();
            assert_eq!((&buffer[..length], descriptors.len()), (&b"hello"[..], count));
        }
        drop(here);
        assert_eq!(receive(&there, &mut [0u8; 4]).unwrap().0, 0);
    }

    #[test]
    fn a_descriptor_is_the_file_that_was_sent() {
        let (here, there) = UnixStream::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"inside").unwrap();
        file.rewind().unwrap();
        send(&here, b"x", &[file.as_raw_fd()]);
        let (_, mut descriptors) = receive(&there, &mut [0u8; 1]).unwrap();
        let mut text = String::new();
        File::from(descriptors.remove(0)).read_to_string(&mut text).unwrap();
        assert_eq!(text, "inside");
    }
}
