//! Files as memory that nobody can change: what is mapped from a file kills the process when somebody cuts the file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use memmap2::{Mmap, MmapOptions};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// A copy of a file in memory that is sealed: neither this process nor another can write to it, shorten or lengthen it.
#[derive(Debug)]
pub struct Sealed(Mmap);

impl Sealed {
    /// Copies the file at `path`. What becomes of the file afterwards, or meanwhile, does no harm: cut off while it is
    /// copied, it is shorter. O(bytes).
    ///
    /// # Errors
    /// Those of reading; [`io::ErrorKind::FileTooLarge`] for more than `bytes_max` bytes, so many are never kept;
    /// [`io::ErrorKind::InvalidData`] for an empty file.
    pub fn copy_of(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let mut source = File::open(path)?.take(bytes_max.saturating_add(1));
        let mut copy =
            File::from(memfd_create("herald-table", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
        let bytes = io::copy(&mut source, &mut copy)?;
        match bytes {
            0 => return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty")),
            _ if bytes > bytes_max => {
                let words = format!("the file has more than {bytes_max} bytes");
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, words));
            }
            _ => {}
        }
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
        fcntl_add_seals(&copy, seals)?;
        // SAFETY: the seals that were added let nobody change or cut these bytes, whoever has the descriptor.
        let map = unsafe { MmapOptions::new().populate().map_copy_read_only(&copy) }?;
        Ok(Self(map))
    }
}

impl AsRef<[u8]> for Sealed {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_copy_stays_what_it_was_when_its_file_is_cut_off() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(&[7; 100_000]).expect("there is room");
        let sealed = Sealed::copy_of(file.path(), 100_000).expect("it is copied");
        file.as_file().set_len(0).expect("it is cut off");
        assert_eq!(sealed.as_ref(), [7; 100_000]);
        assert_eq!(
            Sealed::copy_of(file.path(), 10).map_err(|error| error.kind()).err(),
            Some(io::ErrorKind::InvalidData)
        );
    }

    #[test]
    fn a_file_above_the_bound_is_refused() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(&[7; 11]).expect("there is room");
        assert!(Sealed::copy_of(file.path(), 11).is_ok());
        let refused = Sealed::copy_of(file.path(), 10).map_err(|error| error.kind());
        assert_eq!(refused.err(), Some(io::ErrorKind::FileTooLarge));
    }

    #[test]
    fn the_kernel_refuses_to_change_what_is_sealed() {
        let file = File::from(memfd_create("test", MemfdFlags::ALLOW_SEALING).expect("memory"));
        (&file).write_all(b"before").expect("there is room");
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        assert!(fs::write(&path, b"as long").is_ok(), "without seals it can be written");
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE).expect("sealed");
        assert!(fs::OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(1)).is_err());
        assert!((&file).write_all(b"after").is_err());
    }
}
