//! Who may have written a file: a library is only as trustworthy as everybody who can replace it.

use std::path::Path;

/// Whether only this user and the administrator can write a file and the folders above it; if not, the
/// reason in words.
#[cfg(unix)]
pub(super) fn check(real: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;

    let me = rustix::process::geteuid().as_raw();
    for (depth, place) in real.ancestors().enumerate() {
        let meta = std::fs::metadata(place).map_err(|error| error.to_string())?;
        let kind = match depth {
            0 => Kind::File,
            1 => Kind::Folder,
            _ => Kind::Above,
        };
        judge(place, kind, meta.uid(), meta.mode(), me)?;
    }
    Ok(())
}

/// Elsewhere the system's own rules must do.
#[cfg(not(unix))]
pub(super) fn check(_: &Path) -> Result<(), String> {
    Ok(())
}

#[cfg(unix)]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The file itself.
    File,
    /// Its folder: others who can write there can put libraries beside it that it then loads.
    Folder,
    /// Folders above: the sticky bit keeps others from replacing what is not theirs.
    Above,
}

#[cfg(unix)]
fn judge(place: &Path, kind: Kind, owner: u32, mode: u32, me: u32) -> Result<(), String> {
    const OTHERS_WRITE: u32 = 0o002;
    const STICKY: u32 = 0o1000;

    let what = if kind == Kind::File {
        "it".to_owned()
    } else {
        format!("its folder `{}`", place.display())
    };
    if owner != 0 && owner != me {
        return Err(format!(
            "{what} belongs to user {owner}, expected user {me} or the administrator"
        ));
    }
    let is_kept = kind == Kind::Above && mode & STICKY != 0;
    if mode & OTHERS_WRITE != 0 && !is_kept {
        let place = place.display();
        return Err(format!("{what} can be written by everybody; `chmod o-w {place}` ends that"));
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::path::Path;

    use super::{Kind, judge};

    #[test]
    fn only_the_user_and_the_administrator_may_have_written_it() {
        let at = |kind, owner, mode| judge(Path::new("/x/y"), kind, owner, mode, 1000);
        assert_eq!(at(Kind::File, 1000, 0o755), Ok(()));
        assert_eq!(at(Kind::File, 0, 0o644), Ok(()));
        assert_eq!(at(Kind::Above, 0, 0o1777), Ok(()));
        let told = [
            at(Kind::File, 1001, 0o755),
            at(Kind::File, 1000, 0o757),
            at(Kind::Folder, 0, 0o1777),
            at(Kind::Above, 0, 0o777),
            at(Kind::Above, 1001, 0o755),
        ]
        .map(Result::unwrap_err);
        assert_eq!(told[0], "it belongs to user 1001, expected user 1000 or the administrator");
        assert_eq!(told[1], "it can be written by everybody; `chmod o-w /x/y` ends that");
        assert!(told[2].starts_with("its folder `/x/y` can be written by everybody"));
        assert!(told[3].starts_with("its folder `/x/y` can be written by everybody"));
        assert!(told[4].starts_with("its folder `/x/y` belongs to user 1001"));
    }
}
