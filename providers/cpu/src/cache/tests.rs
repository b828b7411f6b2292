use remuda_ir::{State, StateType};
use remuda_tensor::DType;

use super::{PAGE, PagedCache, cache_bytes};

fn ty(window: Option<usize>) -> StateType {
    StateType { dtype: DType::F32, heads: 2, key_dim: 2, value_dim: 1, window }
}

/// Positions whose numbers say which position they are.
fn numbered(positions: std::ops::Range<usize>) -> Vec<f32> {
    positions.flat_map(|at| (0..6).map(move |element| (at * 10 + element) as f32)).collect()
}

fn read(cache: &PagedCache, sequence: u32, positions: std::ops::Range<usize>) -> Vec<f32> {
    let mut got = Vec::new();
    cache.export(sequence, positions, &mut |row| got.extend_from_slice(row)).unwrap();
    got
}

#[test]
fn what_is_appended_is_read_again() {
    let cache = PagedCache::new(&ty(None), 2, 200).unwrap();
    cache.append(1, &numbered(0..70)).unwrap();
    cache.append(1, &numbered(70..75)).unwrap();
    assert_eq!((cache.length(0).unwrap(), cache.length(1).unwrap()), (0, 75));
    assert_eq!(read(&cache, 1, 0..75), numbered(0..75));
    assert_eq!(read(&cache, 1, 33..66), numbered(33..66));
    assert_eq!(cache.bytes(), cache_bytes(&ty(None), 2, 200).unwrap());
}

#[test]
fn a_copy_shares_pages_until_it_grows() {
    let cache = PagedCache::new(&ty(None), 3, 3 * PAGE as u64).unwrap();
    cache.append(0, &numbered(0..2 * PAGE + 5)).unwrap();
    cache.copy(0, 1, 2 * PAGE + 3).unwrap();
    cache.copy(0, 2, PAGE).unwrap();
    // Six pages in all: three are held, one more is needed for each page that is grown into.
    cache.append(1, &numbered(900..910)).unwrap();
    cache.append(0, &numbered(2 * PAGE + 5..2 * PAGE + 6)).unwrap();
    cache.append(2, &numbered(700..701)).unwrap();
    assert_eq!(read(&cache, 0, 0..2 * PAGE + 6), numbered(0..2 * PAGE + 6));
    assert_eq!(
        read(&cache, 1, 0..2 * PAGE + 13),
        [numbered(0..2 * PAGE + 3), numbered(900..910)].concat()
    );
    assert_eq!(read(&cache, 2, 0..PAGE + 1), [numbered(0..PAGE), numbered(700..701)].concat());
}

#[test]
fn a_full_cache_refuses_and_stays_as_it_was() {
    let cache = PagedCache::new(&ty(None), 1, PAGE as u64).unwrap();
    cache.append(0, &numbered(0..PAGE)).unwrap();
    let error = cache.append(0, &numbered(0..PAGE + 1)).unwrap_err().to_string();
    assert_eq!(error, "the cache is full: 33 more positions need 2 pages of 32, 1 are left");
    assert_eq!(read(&cache, 0, 0..PAGE), numbered(0..PAGE));
    cache.truncate(0, 0).unwrap();
    cache.append(0, &numbered(0..2 * PAGE)).unwrap();
}

#[test]
fn a_window_keeps_what_it_reaches_and_no_more() {
    let cache = PagedCache::new(&ty(Some(10)), 1, 2 * PAGE as u64).unwrap();
    for step in 0..20 {
        cache.append(0, &numbered(step * 20..(step + 1) * 20)).unwrap();
    }
    assert_eq!(read(&cache, 0, 390..400), numbered(390..400));
    assert!(cache.export(0, 100..110, &mut |_| ()).is_err());
    assert!(cache.truncate(0, 100).is_err());
    cache.truncate(0, 395).unwrap();
    assert_eq!(cache.length(0).unwrap(), 395);
}

#[test]
fn growth_is_taken_back() {
    let cache = PagedCache::new(&ty(None), 2, 300).unwrap();
    cache.append(0, &numbered(0..40)).unwrap();
    let before = cache.lengths();
    cache.append(0, &numbered(40..90)).unwrap();
    cache.append(1, &numbered(0..90)).unwrap();
    cache.restore(&before);
    assert_eq!(cache.lengths(), [40, 0]);
    assert_eq!(read(&cache, 0, 0..40), numbered(0..40));
}

#[test]
fn sequences_and_lengths_that_are_not_there_are_refused() {
    let cache = PagedCache::new(&ty(None), 2, 64).unwrap();
    assert_eq!(
        cache.length(2).unwrap_err().to_string(),
        "there is no sequence 2: the cache has room for 2"
    );
    assert!(cache.truncate(0, 1).is_err());
    assert!(cache.copy(0, 1, 1).is_err());
    assert!(cache.copy(0, 9, 0).is_err());
    assert!(cache.append(0, &[0.0; 5]).is_err());
    assert!(PagedCache::new(&ty(None), 1, u64::MAX).is_err());
}
