//! TNAuthLists against plain arithmetic and against bytes that are not one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Seeded, hex, number};
use herald_core::TelephoneNumber;
use herald_stir::{Coverage, TnAuthList, TnEntry, TnRange};

fn padded(value: u128, signs: usize) -> String {
    format!("{value:0signs$}")
}

// rfc8226:9-1.
#[test]
fn random_ranges_agree_with_plain_arithmetic() {
    let random = Seeded::new(8226);
    let (mut allowed, mut inside) = (0, 0);
    for _ in 0..100_000 {
        let signs = 1 + usize::try_from(random.below(15)).unwrap();
        let end = 10u128.pow(u32::try_from(signs).unwrap());
        let start = u128::from(random.next()) % end;
        let count = match random.below(4) {
            0 => random.below(5),
            1 => random.below(1000),
            2 => u64::try_from(end - start).unwrap().wrapping_add(random.below(5)).wrapping_sub(2),
            _ => random.next(),
        };
        let range = TnRange::new(number(&padded(start, signs)), count);
        let expected = count >= 2 && start + u128::from(count) < end;
        assert_eq!(range.is_ok(), expected, "{signs} signs, count {count}");
        let Ok(range) = range else { continue };
        allowed += 1;

        let list = TnAuthList::new(vec![TnEntry::Range(range)]).unwrap();
        assert_eq!(TnAuthList::from_der(&list.to_der()).unwrap(), list);
        let edges = [start.wrapping_sub(1), start, start + u128::from(count) - 1, start + u128::from(count)];
        for asked in edges.into_iter().chain([u128::from(random.next()) % end]).filter(|asked| *asked < end) {
            let is_in = (start..start + u128::from(count)).contains(&asked);
            let expected = if is_in { Coverage::Covered } else { Coverage::NotCovered };
            assert_eq!(list.coverage(number(&padded(asked, signs))), expected);
            inside += usize::from(is_in);
        }
        if signs < 15 {
            let longer: TelephoneNumber = number(&padded(start, signs + 1));
            assert_eq!(list.coverage(longer), Coverage::NotCovered, "a number of another length");
        }
    }
    assert!(allowed > 30_000 && inside > 60_000, "{allowed} ranges, {inside} numbers inside: too few");
}

#[test]
fn printed_samples_are_read_and_written_as_printed() {
    let one = TnAuthList::new(vec![TnEntry::One(number("12015550100"))]).unwrap();
    let spc = TnAuthList::new(vec![TnEntry::Spc("1234".into())]).unwrap();
    let cases = [(spc, "3008a006160431323334"), (one, "300fa20d160b3132303135353530313030")];
    for (list, der) in cases {
        assert_eq!(list.to_der(), hex(der));
        assert_eq!(TnAuthList::from_der(&hex(der)).unwrap(), list);
    }
}

#[test]
fn entries_add_to_one_another_and_a_number_beats_a_code() {
    let range = |start, count| TnEntry::Range(TnRange::new(number(start), count).unwrap());
    let numbers = [TnEntry::One(number("911")), range("12015550100", 10), range("12015550200", 10)];
    let list = TnAuthList::new(numbers.to_vec()).unwrap();
    let with_spc = TnAuthList::new([&numbers[..], &[TnEntry::Spc("709J".into())]].concat()).unwrap();
    for (asked, alone, beside_spc) in [
        ("911", Coverage::Covered, Coverage::Covered),
        ("12015550109", Coverage::Covered, Coverage::Covered),
        ("12015550110", Coverage::NotCovered, Coverage::OnlyBySpc),
        ("12015550200", Coverage::Covered, Coverage::Covered),
        ("*12015550200", Coverage::NotCovered, Coverage::OnlyBySpc),
    ] {
        assert_eq!(list.coverage(number(asked)), alone, "{asked}");
        assert_eq!(with_spc.coverage(number(asked)), beside_spc, "{asked}");
    }
    assert_eq!(with_spc.spcs().collect::<Vec<_>>(), ["709J"]);
}

// rfc8226:9-1.
#[test]
fn what_rfc_8226_does_not_allow_is_refused() {
    let cases = [
        ("", "nothing"),
        ("3000", "no entries"),
        ("161d68747470733a2f2f746e2e6578616d706c652e6e65742f746e6c697374", "a bare text"),
        ("3008a00616043132333400", "bytes behind the list"),
        ("3008a0061604313233", "cut short"),
        ("300880061604313233ff", "an implicit tag"),
        ("3008a3061604313233341f", "an unknown choice"),
        ("300aa30816063132333435 36", "an unknown choice, whole"),
        ("3004a0021600", "an empty code"),
        ("3008a00616043132ff34", "a code that is not ASCII"),
        ("30820008a006160431323334", "a length not in its shortest form"),
        ("3080a0061604313233340000", "an indefinite length"),
        ("3006a20416022b31", "a number with a plus"),
        ("3014a21216103132333435363738393031323334353637", "a number cut off"),
        ("3014a2121610313233343536373839303132333435 36", "a number of 16 digits"),
        ("300ba10930071602313002015b", "10 and 91 numbers: the RFC's own example"),
        ("300ba109300716023130020101", "a range of one"),
        ("300ba109300716023130020180", "a negative count"),
        ("300ca10a3008160231300202000a", "a count not in its shortest form"),
        ("300ba10930071602312a02010a", "a range from a number with *"),
        ("3014a1123010160231300 20a00ffffffffffffffffffff", "a count beyond 64 bits"),
    ];
    for (text, why) in cases {
        let der = hex(&text.replace(' ', ""));
        assert!(TnAuthList::from_der(&der).is_err(), "{why}");
    }
    assert!(TnAuthList::from_der(&hex("300ba10930071602313002010a")).is_ok(), "the form these differ from");
    assert!(
        TnAuthList::from_der(&hex("300da10b300916023130 02010a0500".replace(' ', "").as_str())).is_ok(),
        "extended"
    );
}

#[test]
fn no_bytes_make_the_reader_fail_otherwise() {
    let random = Seeded::new(690);
    let range = TnEntry::Range(TnRange::new(number("12015550100"), 1000).unwrap());
    let entries = vec![TnEntry::Spc("709J".into()), range, TnEntry::One(number("911"))];
    let good = TnAuthList::new(entries).unwrap().to_der();
    let mut read = 0;
    for _ in 0..100_000 {
        let mut der = good.clone();
        for _ in 0..=random.below(3) {
            let at = usize::try_from(random.below(der.len() as u64)).unwrap();
            der[at] = random.next().to_le_bytes()[0];
        }
        der.truncate(der.len() - usize::try_from(random.below(2)).unwrap());
        if let Ok(list) = TnAuthList::from_der(&der) {
            assert_eq!(list.to_der(), der, "what is read is written the same: no second form is accepted");
            read += 1;
        }
    }
    assert!(read > 100, "only {read} lists were read");
}
