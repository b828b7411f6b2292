//! Entries come back whole or not at all, and never take more than they may.

use std::path::Path;
use std::time::{Duration, SystemTime};

use remuda_cache::{Cache, CacheError, Cleared, Key, KeyMaker, Kind};

fn key(number: u64) -> Key {
    KeyMaker::new("test").number("number", number).finish()
}

/// An empty cache in a folder of its own.
fn cache(name: &str, limit: u64) -> Cache {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("a sound test");
    }
    Cache::new(folder, limit)
}

#[test]
fn entries_come_back_by_kind_and_key() {
    let cache = cache("kinds", 10_000);
    assert_eq!(cache.get(Kind::Plan, &key(1)), None);
    cache.put(Kind::Plan, &key(1), b"one").unwrap();
    cache.put(Kind::Engine, &key(1), b"").unwrap();
    cache.put(Kind::Plan, &key(1), b"two").unwrap();
    assert_eq!(cache.get(Kind::Plan, &key(1)).as_deref(), Some(&b"two"[..]));
    assert_eq!(cache.get(Kind::Engine, &key(1)).as_deref(), Some(&b""[..]));
    assert_eq!(cache.get(Kind::Speeds, &key(1)), None);
    assert_eq!(cache.list().len(), 2);
    assert_eq!(cache.clear(Some(Kind::Plan)).unwrap(), Cleared { entries: 1, bytes: 51 });
    assert_eq!(cache.clear(None).unwrap().entries, 1);
    assert!(cache.list().is_empty());
}

#[test]
fn what_was_used_longest_ago_makes_room() {
    let cache = cache("room", 400);
    for number in 0..4 {
        cache.put(Kind::Engine, &key(number), &[7; 50]).unwrap();
        let age = SystemTime::now() - Duration::from_secs(100 - number);
        let file = cache.folder().join("engine").join(key(number).to_string());
        std::fs::File::options().write(true).open(file).unwrap().set_modified(age).unwrap();
    }
    assert!(cache.get(Kind::Engine, &key(0)).is_some());
    cache.put(Kind::Plan, &key(9), &[1; 50]).unwrap();
    let left: Vec<Key> = cache.list().into_iter().map(|entry| entry.key).collect();
    assert_eq!(left.len(), 4);
    assert!(left.contains(&key(0)) && left.contains(&key(9)) && !left.contains(&key(1)));
    let error = cache.put(Kind::Plan, &key(10), &[0; 400]).unwrap_err();
    assert_eq!(error.to_string(), "an entry of 448 bytes does not fit into a cache of 400");
}

#[test]
fn damaged_entries_are_none() {
    let cache = cache("damage", 10_000);
    for damage in [0usize, 10, 40, 49] {
        cache.put(Kind::Plan, &key(1), b"plan").unwrap();
        let file = cache.folder().join("plan").join(key(1).to_string());
        let mut bytes = std::fs::read(&file).unwrap();
        if damage == 0 {
            bytes.truncate(20);
        } else {
            bytes[damage] ^= 1;
        }
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(cache.get(Kind::Plan, &key(1)), None);
        assert!(cache.list().is_empty());
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_others_may_write_to_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let cache = cache("trust", 10_000);
    cache.put(Kind::Plan, &key(1), b"plan").unwrap();
    std::fs::set_permissions(cache.folder(), std::fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(cache.get(Kind::Plan, &key(1)), None);
    let error = cache.put(Kind::Plan, &key(1), b"plan").unwrap_err();
    assert!(matches!(error, CacheError::Untrusted(_)));
}

#[test]
fn large_entries_are_mapped_at_a_cache_line() {
    let cache = cache("large", 100_000);
    let content: Vec<u8> = (0..50_000_u32).map(|at| (at % 251) as u8).collect();
    assert!(cache.map(Kind::Packed, &key(1)).is_none());
    cache.put_large(Kind::Packed, &key(1), &content).unwrap();
    let mapped = cache.map(Kind::Packed, &key(1)).unwrap();
    assert_eq!(mapped.bytes(), content);
    assert_eq!(mapped.bytes().as_ptr().align_offset(64), 0);
    // Who has mapped it keeps it.
    assert_eq!(cache.clear(None).unwrap().entries, 1);
    assert_eq!(mapped.bytes(), content);
    assert!(cache.has_room_for(75_000) && !cache.has_room_for(75_001));
    assert_eq!(cache.get(Kind::Packed, &key(1)), None);
    cache.put_large(Kind::Packed, &key(1), b"").unwrap();
    assert_eq!(cache.map(Kind::Packed, &key(1)).unwrap().bytes(), b"");
}

#[test]
fn large_entries_that_were_cut_off_or_lost_pages_are_none() {
    let cache = cache("large-damage", 100_000);
    let content = vec![7; 50_000];
    let file = cache.folder().join("packed").join(key(1).to_string());
    let damages: [fn(&mut Vec<u8>); 5] = [
        |bytes| bytes.truncate(20),
        |bytes| bytes.truncate(40_000),
        |bytes| bytes[3] = 0,
        |bytes| bytes[8192..12_288].fill(0),
        |bytes| bytes.push(7),
    ];
    for damage in damages {
        cache.put_large(Kind::Packed, &key(1), &content).unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        damage(&mut bytes);
        std::fs::write(&file, bytes).unwrap();
        assert!(cache.map(Kind::Packed, &key(1)).is_none());
        assert!(cache.list().is_empty());
    }
}

#[test]
fn drafts_that_nobody_finished_go_after_an_hour() {
    let cache = cache("drafts", 10_000);
    cache.put(Kind::Plan, &key(1), b"plan").unwrap();
    let draft = |name: &str, age: u64| {
        let file = cache.folder().join("plan").join(format!("{}.{name}", key(2)));
        std::fs::write(&file, b"half").unwrap();
        let then = SystemTime::now() - Duration::from_secs(age);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(then).unwrap();
        file
    };
    let (old, young) = (draft("1.0", 4000), draft("2.0", 60));
    cache.put(Kind::Plan, &key(3), b"plan").unwrap();
    assert!(!old.exists() && young.exists());
    assert_eq!(cache.list().len(), 2);
}
