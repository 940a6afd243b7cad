//! `herald store --batch`: the placements of a list, in requests of some hundreds.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use herald_runtime::CpsClient;
use herald_runtime::core::{PlacementClass, TelephoneNumber};
use serde_json::json;

use crate::calls::{named, read, read_text};
use crate::output::{EXIT_NOT_GOOD, Failure, Output};

/// Placements of one request: what is read into memory at a time, 2 MiB at most.
const PLACEMENTS_TOGETHER: usize = 256;

/// One line of the list.
struct Line {
    /// Counted from 1.
    line: usize,
    number: TelephoneNumber,
    file: PathBuf,
}

pub(crate) fn store_batch(
    list: &Path,
    class: PlacementClass,
    service: &CpsClient,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let lines = read_list(list)?;
    let mut all_stored = true;
    for part in lines.chunks(PLACEMENTS_TOGETHER) {
        let bodies = part.iter().map(|line| read(&line.file)).collect::<Result<Vec<_>, _>>()?;
        let placements: Vec<_> =
            part.iter().zip(&bodies).map(|(line, body)| (line.number, body.as_slice())).collect();
        for (Line { line, .. }, result) in part.iter().zip(service.store_batch_of(class, &placements)?) {
            match result {
                Ok(location) => output
                    .answer(format!("stored {location}"), &json!({ "line": line, "location": location })),
                Err(outcome) => {
                    all_stored = false;
                    output.answer(
                        format!("refused line {line}: {outcome}"),
                        &json!({ "line": line, "refused": outcome.to_string() }),
                    );
                }
            }
        }
    }
    Ok(if all_stored { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NOT_GOOD) })
}

/// All of the list, so that nothing is stored if a line of it is wrong.
fn read_list(list: &Path) -> Result<Vec<Line>, Failure> {
    let text = read_text(list)?;
    let folder = list.parent().unwrap_or(Path::new(""));
    let lines = text.lines().enumerate().map(|(index, text)| (index + 1, text.trim()));
    let parse = |(line, text): (usize, &str)| {
        let (number, file) = text.split_once(char::is_whitespace).ok_or_else(|| {
            named(
                list,
                format!("line {line}: give a number, a space and a file, as in 12025550123 sealed.bin"),
            )
        })?;
        let number = number.parse().map_err(|error| named(list, format!("line {line}: {error}")))?;
        Ok(Line { line, number, file: folder.join(file.trim_start()) })
    };
    lines.filter(|(_, text)| !text.is_empty()).map(parse).collect()
}
