//! Keys and spent marks outlive a restart, go with their epoch, and are never acknowledged when they are not kept.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{append, new_journal, new_log};
use herald_core::Timestamp;
use herald_journal::{BlockStore, KeptKey, RocksStore, SpentMark, Vault};

const START: Timestamp = Timestamp::from_millis(1_795_300_000_000);
const MEMORY: usize = 64 << 20;
const SECRET: &[u8] = b"a secret key that is nowhere else in the folder";

fn open(path: &Path) -> (RocksStore, Vault) {
    let store = RocksStore::open(path, MEMORY).expect("a journal");
    let vault = store.vault().expect("a vault");
    (store, vault)
}

fn mark(epoch: u64, index: u64) -> SpentMark {
    let mut token = [0; 16];
    token[..8].copy_from_slice(&index.to_be_bytes());
    SpentMark { epoch, token, digest: [epoch as u8; 16] }
}

fn key(epoch: u64, class: u8) -> KeptKey {
    KeptKey { epoch, class, bytes: [&[class], SECRET].concat().into() }
}

fn spent(vault: &Vault, epoch: u64) -> Vec<SpentMark> {
    let mut marks = Vec::new();
    vault.for_each_spent(epoch, &mut |mark| marks.push(*mark)).expect("marks");
    marks
}

fn holds(folder: &Path, wanted: &[u8]) -> bool {
    std::fs::read_dir(folder)
        .expect("a folder")
        .filter_map(|entry| std::fs::read(entry.ok()?.path()).ok())
        .any(|bytes| bytes.windows(wanted.len()).any(|window| window == wanted))
}

#[test]
fn keys_and_marks_are_found_again_by_their_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let (store, vault) = open(folder.path());
    vault.put_keys(&[key(7, 1), key(7, 2), key(8, 1)]).unwrap();
    let marks: Vec<_> = (0..1_000).map(|index| mark(7 + index % 2, index)).collect();
    for part in marks.chunks(100) {
        vault.spend(part).unwrap();
        vault.settle().unwrap();
    }
    drop((store, vault));
    let (_store, vault) = open(folder.path());
    assert!(vault.keys().unwrap() == [key(7, 1), key(7, 2), key(8, 1)]);
    assert_eq!(vault.epochs(), [7, 8]);
    for epoch in [7, 8] {
        let wanted: Vec<_> = marks.iter().filter(|mark| mark.epoch == epoch).copied().collect();
        assert_eq!(spent(&vault, epoch), wanted);
    }
    assert_eq!(spent(&vault, 9), []);
}

#[test]
fn marks_survive_a_process_that_ends_without_closing() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_store, vault) = open(folder.path());
    vault.spend(&[mark(3, 1), mark(4, 2)]).unwrap();
    vault.put_keys(&[key(4, 1)]).unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let (_copied, found) = open(copy.path());
    assert_eq!((spent(&found, 3), spent(&found, 4)), (vec![mark(3, 1)], vec![mark(4, 2)]));
    assert!(found.keys().unwrap() == [key(4, 1)]);
}

#[test]
fn the_end_of_an_epoch_takes_its_marks_and_the_secrets_of_its_keys_off_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, vault) = open(folder.path());
    vault.put_keys(&[key(7, 1), KeptKey { bytes: b"another".to_vec().into(), ..key(8, 1) }]).unwrap();
    vault.spend(&[mark(7, 1), mark(8, 2)]).unwrap();
    assert!(holds(folder.path(), SECRET));
    vault.drop_before(8).unwrap();
    vault.settle().unwrap();
    assert_eq!(vault.epochs(), [8]);
    assert_eq!((spent(&vault, 7), spent(&vault, 8)), (vec![], vec![mark(8, 2)]));
    assert_eq!(vault.keys().unwrap().len(), 1);
    // The write-ahead log goes in turn, as with every generation.
    store.forget_overwritten().unwrap();
    let began = std::time::Instant::now();
    while holds(folder.path(), SECRET) && began.elapsed() < std::time::Duration::from_secs(20) {
        std::thread::yield_now();
    }
    assert!(!holds(folder.path(), SECRET), "the secret of a key that is over is still on disk");
}

#[test]
fn marks_are_kept_while_other_epochs_end_and_keys_go_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, vault) = open(folder.path());
    vault.put_keys(&[key(7, 1), key(7, 2), key(8, 1)]).unwrap();
    vault.drop_keys(&[(7, 2), (9, 1)]).unwrap();
    assert!(vault.keys().unwrap() == [key(7, 1), key(8, 1)]);
    // Marks of the very epoch that ends, too: none is lost that was acknowledged, and no write fails.
    std::thread::scope(|scope| {
        let spending = scope.spawn(|| {
            (0..100).for_each(|index| vault.spend(&[mark(1, index), mark(2, index)]).expect("kept"));
        });
        while !spending.is_finished() {
            vault.drop_before(2).unwrap();
            vault.settle().unwrap();
        }
    });
    assert_eq!(spent(&vault, 2).len(), 100);
}

#[test]
fn while_the_folder_is_away_nothing_counts_as_spent_and_afterwards_all_goes_on() {
    let parent = tempfile::tempdir().unwrap();
    let (path, elsewhere) = (parent.path().join("journal"), parent.path().join("elsewhere"));
    let (_store, vault) = open(&path);
    vault.spend(&[mark(1, 1)]).unwrap();
    std::fs::rename(&path, &elsewhere).unwrap();
    vault.spend(&[mark(1, 2)]).unwrap_err();
    vault.put_keys(&[key(1, 1)]).unwrap_err();
    std::fs::rename(&elsewhere, &path).unwrap();
    vault.spend(&[mark(1, 3)]).unwrap();
    assert_eq!(spent(&vault, 1), [mark(1, 1), mark(1, 3)]);
}

#[test]
fn a_journal_that_begins_anew_forgets_keys_and_marks_together() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, vault) = open(folder.path());
    vault.put_keys(&[key(1, 1)]).unwrap();
    vault.spend(&[mark(1, 1)]).unwrap();
    store.recreate().unwrap();
    let (store, vault) = {
        // The identity of the folder is that of the new one.
        drop(vault);
        let vault = store.vault().unwrap();
        (store, vault)
    };
    assert!(
        vault.keys().unwrap().is_empty(),
        "a key whose spent marks are lost would let tokens be spent twice"
    );
    vault.spend(&[mark(1, 2)]).unwrap();
    drop((store, vault));
    assert_eq!(spent(&open(folder.path()).1, 1), [mark(1, 2)]);
}

#[test]
fn placements_and_marks_share_the_disk_and_neither_loses_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let log = new_log();
    let mut handle = log.handle().unwrap();
    let (store, vault) = open(folder.path());
    let mut journal = new_journal(log, store, Arc::default(), START);
    for index in 0..200 {
        let now = START.plus_millis(index * 500);
        append(&mut handle, index, now);
        vault.spend(&[mark(index / 50, index)]).unwrap();
        journal.pass(now, index % 4 == 0).unwrap();
        if index % 20 == 0 {
            vault.settle().unwrap();
        }
    }
    drop((journal, vault));
    let (store, vault) = open(folder.path());
    let mut live = 0;
    let damaged = store.for_each_live(START.plus_millis(100_000), 60_000, &mut |_| live += 1);
    assert_eq!((damaged, live), (Ok(0), 119));
    assert_eq!((0..4).map(|epoch| spent(&vault, epoch).len()).sum::<usize>(), 200);
}
