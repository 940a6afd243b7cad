//! Compiled tables of services: what is looked up is what a plain reading of the entries says, and what is no table is
//! refused.

use herald_core::{NumberBlock, TelephoneNumber};
use herald_stir::NumberSet;
use herald_stir::services::{Selector, Side};
use herald_stir::table::{BuildFault, By, LineFault, Service, Sides, Table, TableBuilder, TableFault};

const MADE_S: u64 = 1_795_300_000;

fn number(text: &str) -> TelephoneNumber {
    text.parse().expect("a number")
}

fn table(lines: &str) -> Table<Vec<u8>> {
    let mut builder = TableBuilder::new();
    for line in lines.lines() {
        builder.add_line(line, "lines").expect("a good line");
    }
    Table::open(builder.finish(MADE_S).expect("a table")).expect("it can be read")
}

/// The hosts found, and by what.
fn look(table: &Table<Vec<u8>>, text: &str, code: Option<&str>, side: Side) -> String {
    table.look(number(text), code, side).map_or_else(String::new, |found| {
        let hosts: Vec<_> = found.service.uris().map(|uri| uri.trim_start_matches("https://")).collect();
        let by = match found.by {
            By::Numbers { free_signs } => free_signs.to_string(),
            By::Code => "code".to_owned(),
            By::Everybody => "everybody".to_owned(),
        };
        format!("{} {by}", hosts.join("+"))
    })
}

#[test]
fn the_smallest_set_that_holds_a_number_answers_for_each_side() {
    let table = table(
        "numbers,side,uris
         # a comment
         1222*, both, https://prefix
         1222555*, called, https://longer
         12225550xxx, https://block
         1-12225550500-300 calling https://range
         2-12225550600, https://one https://two
         12225550600 called https://three;https://one
         \"*12\", both, \"https://star\"
         *12*;;https://stars
         0-1234 both https://code
         * called https://everybody",
    );
    let cases = [
        ("12225550600", None, "one+two 0", "one+two+three 0"),
        ("12225550601", None, "range 3", "block 3"),
        ("12225550499", None, "block 3", "block 3"),
        ("12225550800", None, "block 3", "block 3"),
        ("12225551000", None, "prefix 11", "longer 8"),
        ("122255506000", Some("1234"), "prefix 11", "longer 8"),
        ("1222", None, "prefix 11", "prefix 11"),
        ("122", None, "", "everybody everybody"),
        ("122", Some("1234"), "code code", "code code"),
        ("122", Some("123"), "", "everybody everybody"),
        ("*12", None, "star 0", "star 0"),
        ("*123", None, "stars 12", "stars 12"),
        ("#12", Some("12345"), "", "everybody everybody"),
        // Between the ninth and tenth block of a range in the order of words, but not in it.
        ("1222555060*", None, "prefix 11", "longer 8"),
    ];
    for (text, code, calling, called) in cases {
        assert_eq!(look(&table, text, code, Side::Calling), calling, "{text} {code:?}");
        assert_eq!(look(&table, text, code, Side::Called), called, "{text} {code:?}");
    }
    let about = table.about();
    assert_eq!((about.entries_count, about.made_s, about.has_everybody), (10, MADE_S, true));
}

#[test]
fn among_words_about_the_same_numbers_the_proven_and_the_last_one_counts() {
    let said = |uri: &str, is_proven, since_s| Service {
        uris: vec![uri.to_owned()],
        is_proven,
        since_s,
        until_s: Some(since_s + 10),
        origin: "somebody".to_owned(),
    };
    let words = [
        said("https://a", false, 0),
        said("https://b", true, 7),
        said("https://c", true, 5),
        said("https://d", false, 9),
    ];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1]] {
        for selector in ["12225550123", "*", "0-1234"] {
            let mut builder = TableBuilder::new();
            for index in order {
                builder.add(&selector.parse().expect("one"), Sides::Both, &words[index]).expect("it fits");
            }
            let table = Table::open(builder.finish(0).expect("a table")).expect("it can be read");
            let found = table.look(number("12225550123"), Some("1234"), Side::Called).expect("there is one");
            assert_eq!(found.service.uris().collect::<Vec<_>>(), ["https://b"], "{selector}");
            assert_eq!((found.service.is_proven, found.service.until_s), (true, Some(17)));
        }
    }
}

#[test]
fn lines_that_are_no_entries_are_refused_with_words() {
    let cases = [
        ("12225550123", LineFault::NoService),
        ("12225550123 called", LineFault::NoService),
        ("1222555O123 https://a", LineFault::Numbers),
        ("1-9-5 https://a", LineFault::Numbers),
        ("12225550123 http://a", LineFault::Table(BuildFault::Uri)),
        ("12225550123 bath https://a", LineFault::Table(BuildFault::Uri)),
        ("12225550123 https://", LineFault::Table(BuildFault::Uri)),
    ];
    for (line, fault) in cases {
        let mut builder = TableBuilder::new();
        assert_eq!(builder.add_line(line, "lines"), Err(fault), "{line}");
        assert!(builder.is_empty());
    }
    let mut builder = TableBuilder::new();
    let many = (0..9).fold("1*".to_owned(), |line, index| format!("{line} https://{index}"));
    assert_eq!(builder.add_line(&many, "lines"), Err(LineFault::Table(BuildFault::Uris("lines".into()))));
    for index in 0..9 {
        builder.add_line(&format!("1* https://{index}"), "adding up").expect("each by itself is good");
    }
    assert_eq!(builder.finish(0), Err(BuildFault::Uris("adding up".into())));
}

#[test]
fn a_table_that_was_changed_anywhere_is_refused() {
    let good = table("1222* https://a\n12225550xxx called https://b\n0-1234 https://c\n* https://d");
    let mut builder = TableBuilder::new();
    builder.add_line("1* https://a", "lines").expect("a line");
    let bytes = builder.finish(0).expect("a table");
    assert!(Table::open(&bytes).is_ok(), "{good:?}");
    for length in 0..bytes.len() {
        assert!(Table::open(&bytes[..length]).is_err(), "cut to {length}");
    }
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 1 << (index % 8);
        assert!(Table::open(changed).is_err(), "byte {index}");
    }
    let longer = [bytes.as_slice(), b"\0"].concat();
    assert_eq!(Table::open(longer).err(), Some(TableFault::Length));
    assert_eq!(Table::open(b"numbers,side".as_slice()).err(), Some(TableFault::NoTable));
}

/// Numbers as xorshift draws them, all with one beginning.
struct Draw {
    state: u64,
    signs_max: u64,
    beginning: &'static str,
}

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % bound
    }

    /// Digits, with a sign that is none now and then.
    fn number(&mut self) -> TelephoneNumber {
        let signs: String = (0..1 + self.below(self.signs_max))
            .map(|_| if self.below(40) == 0 { '#' } else { char::from(b'0' + self.below(3) as u8) })
            .collect();
        number(&format!("{}{signs}", self.beginning))
    }

    fn set(&mut self) -> NumberSet {
        let start = self.number();
        match self.below(3) {
            0 => NumberSet::One(start),
            1 if start.sign_count() < 15 => NumberSet::Prefix(start),
            1 => NumberSet::One(start),
            _ => NumberBlock::new(start, 2 + self.below(150)).map_or(NumberSet::One(start), NumberSet::Block),
        }
    }
}

/// The plain way: of all sets that hold the number the smallest, and of those with as many numbers the one that begins
/// first.
fn plainly(sets: &[(NumberSet, Sides)], wanted: TelephoneNumber, side: Side) -> Option<usize> {
    let size = |set: &NumberSet| match set {
        NumberSet::One(one) => (*one == wanted).then_some((1, 0)),
        NumberSet::Block(block) => block.contains(wanted).then(|| (block.count(), block.first().to_bits())),
        NumberSet::Prefix(prefix) => {
            let held = wanted.to_string().starts_with(&prefix.to_string());
            held.then(|| (10u64.pow(15 - prefix.sign_count() as u32), u64::MAX))
        }
        NumberSet::Everybody => Some((u64::MAX, 0)),
    };
    let asked = |sides: Sides| sides == Sides::Both || (sides == Sides::Calling) == (side == Side::Calling);
    let held = sets.iter().enumerate().filter(|(_, (_, sides))| asked(*sides));
    held.filter_map(|(index, (set, _))| Some((size(set)?, index))).min().map(|(_, index)| index)
}

#[test]
fn a_table_answers_what_a_plain_search_through_the_sets_answers() {
    for seed in 1..61u64 {
        let is_large = seed == 60;
        let signs_max = if is_large { 9 } else { 5 };
        // With a long beginning, prefixes are as small as ranges.
        let beginning = if seed % 2 == 0 { "" } else { "1020304050" };
        let mut draw = Draw { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), signs_max, beginning };
        let mut sets: Vec<(NumberSet, Sides)> = Vec::new();
        // So many that blocks are found by the guide.
        let sets_count = if is_large { 10_000 } else { draw.below(400) };
        for _ in 0..sets_count {
            let set = draw.set();
            let is_new = sets.iter().all(|(known, _)| *known != set);
            let sides = [Sides::Calling, Sides::Called, Sides::Both][draw.below(3) as usize];
            if is_new {
                sets.push((set, sides));
            }
        }
        let mut builder = TableBuilder::new();
        for (index, (set, sides)) in sets.iter().enumerate() {
            let uris = vec![format!("https://{index}")];
            let service = Service { uris, ..Service::default() };
            builder.add(&Selector::Numbers(*set), *sides, &service).expect("it fits");
        }
        let table = Table::open(builder.finish(0).expect("a table")).expect("it can be read");
        for _ in 0..400 {
            let wanted = draw.number();
            for side in [Side::Calling, Side::Called] {
                let found =
                    table.look(wanted, None, side).map(|found| found.service.uris().collect::<String>());
                let expected = plainly(&sets, wanted, side).map(|index| format!("https://{index}"));
                assert_eq!(found, expected, "{wanted} with seed {seed}");
            }
        }
    }
}
