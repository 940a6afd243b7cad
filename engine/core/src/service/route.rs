//! From method and target to what is asked for.

use super::message::Request;
use super::problem::Problem;
use crate::batch;
use crate::class::PlacementClass;
use crate::limits::{BLOCK_NUMBERS_MAX, TARGET_BYTES_MAX};
use crate::number::{NumberBlock, TelephoneNumber};
use crate::placement::PlacementId;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Health,
    Store(TelephoneNumber),
    List { number: TelephoneNumber, inline: bool },
    ListBlock(NumberBlock),
    Item(TelephoneNumber, PlacementId),
}

/// What the records of a batch are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BatchKind {
    /// Placements, to be stored.
    Stores,
    /// Numbers, to be retrieved.
    Numbers,
}

/// The form a list is wanted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListForm {
    Json,
    UriList,
}

pub(super) const PASSPORT_TYPE: &str = "application/passport";

impl Route {
    pub(super) fn of(request: &Request<'_>) -> Result<Self, Problem> {
        let (path, query) = path_and_query(request.target)?;
        if path == "/health" {
            reading(request.method, "GET, HEAD")?;
            return no_query(query).map(|()| Self::Health);
        }
        let rest = path.strip_prefix("/cps/").ok_or(Problem::NotFound)?;
        let (number, rest) = rest.split_once('/').ok_or(Problem::NotFound)?;
        let rest = rest.strip_prefix("ppts").ok_or(Problem::NotFound)?;
        match rest {
            "" | "/" => Self::of_collection(request.method, number, query),
            _ => {
                let id = rest.strip_prefix('/').ok_or(Problem::NotFound)?;
                let id = id.strip_suffix('/').unwrap_or(id);
                if id.contains('/') {
                    return Err(Problem::NotFound);
                }
                reading(request.method, "GET, HEAD")?;
                no_query(query)?;
                let number = TelephoneNumber::parse(number.as_bytes()).map_err(Problem::Number)?;
                Ok(Self::Item(number, id.parse().map_err(Problem::Id)?))
            }
        }
    }

    fn of_collection(method: &str, number: &str, query: Option<&str>) -> Result<Self, Problem> {
        if is_block(number) {
            return Self::of_block(method, number, query);
        }
        let storing = method == "POST";
        if !storing {
            reading(method, "GET, HEAD, POST")?;
        }
        let inline = match query {
            None | Some("") => false,
            Some("inline=1") if !storing => true,
            Some(_) => return Err(Problem::Query),
        };
        let number = TelephoneNumber::parse(number.as_bytes()).map_err(Problem::Number)?;
        Ok(if storing { Self::Store(number) } else { Self::List { number, inline } })
    }

    fn of_block(method: &str, block: &str, query: Option<&str>) -> Result<Self, Problem> {
        reading(method, "GET, HEAD")?;
        if query == Some("inline=1") {
            return Err(Problem::BlockListOnly);
        }
        no_query(query)?;
        let block = NumberBlock::parse(block.as_bytes()).map_err(Problem::Block)?;
        match block.count() {
            count if count > BLOCK_NUMBERS_MAX => Err(Problem::BlockTooLarge(count)),
            _ => Ok(Self::ListBlock(block)),
        }
    }
}

impl Request<'_> {
    /// The class of what the request stores, if it does. Depends on `Content-Type` alone.
    ///
    /// # Errors
    /// [`Problem::UnknownClass`].
    pub fn class(&self) -> Result<PlacementClass, Problem> {
        class(self.content_type)
    }

    /// Whether the answer shows the bodies of placements, if there are any: what is asked for by number with bodies, or
    /// by id. Depends on the request alone.
    pub fn asks_for_bodies(&self) -> bool {
        matches!(Route::of(self), Ok(Route::List { inline: true, .. } | Route::Item(..)))
    }
}

/// The kind of batch a request is for; `None` if it is for none.
pub(super) fn batch_kind(request: &Request<'_>) -> Result<Option<BatchKind>, Problem> {
    let (path, query) = path_and_query(request.target)?;
    let kind = match path {
        batch::STORE_PATH => BatchKind::Stores,
        batch::RETRIEVE_PATH => BatchKind::Numbers,
        _ => return Ok(None),
    };
    if request.method != "POST" {
        return Err(Problem::Method("POST"));
    }
    no_query(query).map(|()| Some(kind))
}

/// The item that is reported, if the request is for a report.
pub(super) fn report(request: &Request<'_>) -> Result<Option<(TelephoneNumber, PlacementId)>, Problem> {
    let (path, query) = path_and_query(request.target)?;
    let parts = || {
        let (number, rest) = path.strip_prefix("/cps/")?.split_once('/')?;
        let id = rest.strip_prefix("ppts/")?.strip_suffix("/report")?;
        (!id.contains('/')).then_some((number, id))
    };
    let Some((number, id)) = parts() else { return Ok(None) };
    if request.method != "POST" {
        return Err(Problem::Method("POST"));
    }
    no_query(query)?;
    let number = TelephoneNumber::parse(number.as_bytes()).map_err(Problem::Number)?;
    Ok(Some((number, id.parse().map_err(Problem::Id)?)))
}

fn path_and_query(target: &str) -> Result<(&str, Option<&str>), Problem> {
    if target.len() > TARGET_BYTES_MAX {
        return Err(Problem::TargetTooLong);
    }
    Ok(match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    })
}

/// Whether a path segment means a block: it ends in `x`, or has a single `-` with up to four digits behind it.
/// A number written with one dash and a short last group must be written otherwise (with dots, or bare).
fn is_block(segment: &str) -> bool {
    if segment.ends_with(['x', 'X']) {
        return true;
    }
    segment.split_once('-').is_some_and(|(first, count)| {
        !first.is_empty()
            && (1..=4).contains(&count.len())
            && count.bytes().all(|digit| digit.is_ascii_digit())
    })
}

fn reading(method: &str, allowed: &'static str) -> Result<(), Problem> {
    if matches!(method, "GET" | "HEAD") { Ok(()) } else { Err(Problem::Method(allowed)) }
}

fn no_query(query: Option<&str>) -> Result<(), Problem> {
    if query.unwrap_or("").is_empty() { Ok(()) } else { Err(Problem::Query) }
}

/// Whether a body is said to be of type `wanted`, whatever the parameters.
pub(super) fn is_of_type(content_type: Option<&str>, wanted: &str) -> bool {
    content_type.is_some_and(|value| media_type(value).eq_ignore_ascii_case(wanted))
}

/// The class that a body is said to be of, by the parameter `class` of its type.
fn class(content_type: Option<&str>) -> Result<PlacementClass, Problem> {
    let Some((_, parameters)) = content_type.and_then(|value| value.split_once(';')) else {
        return Ok(PlacementClass::Call);
    };
    let mut said = parameters.split(';').filter_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("class").then(|| unquoted(value))
    });
    match (said.next(), said.next()) {
        (None, _) => Ok(PlacementClass::Call),
        (Some(name), None) => PlacementClass::from_name(name).ok_or(Problem::UnknownClass),
        (Some(_), Some(_)) => Err(Problem::UnknownClass),
    }
}

/// A value of a parameter, which may stand between quotes (RFC 9110 §5.6.6).
fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// The first form in the client's `Accept` that there is; quality 0 excludes.
pub(super) fn list_form(accept: Option<&str>) -> Result<ListForm, Problem> {
    let Some(accept) = accept else { return Ok(ListForm::Json) };
    let wants = |offered: &str| quality(accept, offered);
    let (json, uris) = (wants("application/json"), wants("text/uri-list"));
    match () {
        () if json == 0 && uris == 0 => Err(Problem::NotAcceptable("application/json, text/uri-list")),
        () if uris > json => Ok(ListForm::UriList),
        () => Ok(ListForm::Json),
    }
}

/// Whether the client takes `offered`.
pub(super) fn accepts(accept: Option<&str>, offered: &'static str) -> Result<(), Problem> {
    match accept {
        Some(accept) if quality(accept, offered) == 0 => Err(Problem::NotAcceptable(offered)),
        _ => Ok(()),
    }
}

/// The weight `accept` gives `offered`, in thousandths; the most specific range counts (RFC 9110 §12.5.1).
fn quality(accept: &str, offered: &str) -> u32 {
    let family = offered.split_once('/').map_or(offered, |(family, _)| family);
    let specificity = |range: &str| match range.split_once('/') {
        _ if range.eq_ignore_ascii_case(offered) => 3,
        Some((kind, "*")) if kind.eq_ignore_ascii_case(family) => 2,
        Some(("*", "*")) => 1,
        _ => 0,
    };
    accept
        .split(',')
        .map(|range| (specificity(media_type(range)), weight(range)))
        .filter(|&(specific, _)| specific > 0)
        .max()
        .map_or(0, |(_, weight)| weight)
}

fn media_type(value: &str) -> &str {
    value.split(';').next().unwrap_or(value).trim()
}

fn weight(range: &str) -> u32 {
    let parameter = range.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("q").then(|| value.trim())
    });
    match parameter.map(str::parse::<f32>) {
        None => 1000,
        Some(Ok(weight)) if (0.0..=1.0).contains(&weight) => (weight * 1000.0) as u32,
        Some(_) => 0,
    }
}
