//! Locations that models have been used to attack with.

use std::fs;
use std::path::PathBuf;

use super::Folder;
use crate::ExternalData;

/// A folder of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("remuda-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("model/sub")).unwrap();
        fs::write(path.join("secret"), b"secret").unwrap();
        fs::write(path.join("model/weights"), b"weights").unwrap();
        fs::write(path.join("model/sub/weights"), b"deeper").unwrap();
        Self(path)
    }

    fn open(&self, location: &str) -> Result<Vec<u8>, String> {
        let folder = Folder::new(&self.0.join("model"));
        folder
            .open(location)
            .map(|memory| memory.bytes().to_vec())
            .map_err(|error| error.to_string())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn files_in_the_folder_are_opened() {
    let scratch = Scratch::new("inside");
    assert_eq!(scratch.open("weights").unwrap(), b"weights");
    assert_eq!(scratch.open("./sub//weights").unwrap(), b"deeper");
}

#[test]
fn locations_outside_of_the_folder_are_refused_with_their_reason() {
    let scratch = Scratch::new("outside");
    let absolute = scratch.0.join("secret").display().to_string();
    let refused = [
        ("../secret", "leaves the folder of the model by `..`"),
        ("sub/../../secret", "leaves the folder of the model by `..`"),
        ("sub/..", "leaves the folder of the model by `..`"),
        (absolute.as_str(), "is absolute, expected a path relative to the model"),
        ("C:/secret", "is absolute, expected a path relative to the model"),
        ("..\\secret", "holds a backslash, expected `/` between names"),
        ("weights\0.bin", "holds a zero byte"),
        ("", "names no file"),
        ("./", "names no file"),
    ];
    for (location, reason) in refused {
        let shown = location.escape_debug();
        let message = format!("external data `{shown}`: the location {reason}");
        assert_eq!(scratch.open(location).unwrap_err(), message);
    }
}

#[test]
fn what_is_no_file_is_refused() {
    let scratch = Scratch::new("nofile");
    let error = |location| scratch.open(location).unwrap_err();
    assert_eq!(error("absent"), "external data `absent`: there is no such file");
    assert_eq!(error("sub"), "external data `sub`: it is no regular file");
    assert!(error("weights/x").starts_with("external data `weights/x`: "));
}

#[cfg(unix)]
mod unix {
    use super::{Folder, Scratch, fs};
    use crate::ExternalData;
    use crate::external::system::stepwise;
    use std::os::unix::fs::symlink;

    #[test]
    fn symbolic_links_are_refused_wherever_they_are() {
        let scratch = Scratch::new("symlink");
        symlink("../secret", scratch.0.join("model/file")).unwrap();
        symlink("..", scratch.0.join("model/folder")).unwrap();
        symlink("weights", scratch.0.join("model/inside")).unwrap();
        for location in ["file", "folder/secret", "inside"] {
            let message = format!("external data `{location}`: a symbolic link is on its path");
            assert_eq!(scratch.open(location).unwrap_err(), message);
        }
    }

    #[test]
    fn the_way_of_older_kernels_refuses_links_too() {
        let scratch = Scratch::new("stepwise");
        symlink("../secret", scratch.0.join("model/file")).unwrap();
        symlink("..", scratch.0.join("model/folder")).unwrap();
        let folder = scratch.0.join("model");
        assert!(stepwise(&folder, &["sub", "weights"]).is_ok());
        let code = rustix::io::Errno::LOOP.raw_os_error();
        assert_eq!(stepwise(&folder, &["file"]).unwrap_err().raw_os_error(), Some(code));
        assert_eq!(
            stepwise(&folder, &["folder", "secret"]).unwrap_err().raw_os_error(),
            Some(code)
        );
    }

    #[test]
    fn hard_links_are_refused_unless_they_are_allowed() {
        let scratch = Scratch::new("hardlink");
        fs::hard_link(scratch.0.join("secret"), scratch.0.join("model/linked")).unwrap();
        let message = "external data `linked`: it has 2 names (hard links), expected one";
        assert_eq!(scratch.open("linked").unwrap_err(), message);
        let trusting = Folder::new(&scratch.0.join("model")).allow_hard_links();
        assert_eq!(trusting.open("linked").unwrap().bytes(), b"secret");
    }

    #[test]
    fn a_pipe_is_refused_without_waiting_for_it() {
        let scratch = Scratch::new("pipe");
        let path = scratch.0.join("model/pipe");
        let status = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(status.success());
        assert_eq!(
            scratch.open("pipe").unwrap_err(),
            "external data `pipe`: it is no regular file"
        );
    }
}
