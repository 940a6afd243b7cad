//! Two services on one folder: the second must not start, must say why, and must not disturb the first.

use std::time::Instant;

use crate::Plan;
use crate::error::CrashError;
use crate::http::{Http, Stored};
use crate::ledger::Placement;
use crate::report::Part;
use crate::service::{EXIT_UNAVAILABLE, Launch};

/// Starts a second service on the folder of a first.
pub(crate) fn in_use(plan: &Plan) -> Result<Part, CrashError> {
    let folder = tempfile::tempdir().map_err(CrashError::system("make a folder"))?;
    let launch = Launch::new(&plan.program, folder.path(), "synced");
    let first = launch.start()?;
    let began = Instant::now();
    let (status, reports) = launch.fail()?;
    let ended_in = began.elapsed();
    let mut faults = Vec::new();
    if status.code() != Some(EXIT_UNAVAILABLE) {
        faults.push(format!("the second service ends with {status}, not with {EXIT_UNAVAILABLE}"));
    }
    if !reports.contains(&*folder.path().to_string_lossy()) || !reports.contains("open in another engine") {
        faults.push(format!("the second service does not say that its folder is in use: {reports}"));
    }
    let http = Http::new(&first.address, 0)?;
    let placement = Placement::random();
    match http.store(placement.number, &placement.body)? {
        Stored::Acknowledged(location)
            if http.item(&location)?.as_deref() == Some(placement.body.as_slice()) => {}
        _ => faults.push("the first service does not store and retrieve as before".into()),
    }
    let line = format!("one folder, second process ends with {status} after {} ms", ended_in.as_millis());
    Ok(Part::new(line, faults))
}
