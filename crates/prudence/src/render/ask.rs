//! An ask, as the person reads it who has to answer: what exactly would happen, who would see what, why it is asked, who may answer.

use std::fmt::Write as _;

use authority::view::{AskView, ChangeView, Standing};

use super::{BAD, BOLD, DIM, GOOD, WARN, bytes, count, distance, head, moment, names, pairs, printable};
use judge::moment::Moment;

/// The ask in full.
pub fn ask(view: &AskView, now: Moment) -> String {
    let mut out = String::new();
    let (style, standing) = match &view.standing {
        Standing::Open => (WARN, format!("open until {} ({})", moment(view.expires), distance(now, view.expires))),
        Standing::Expired => (DIM, format!("expired {}", moment(view.expires))),
        Standing::Approved { by } => (GOOD, format!("approved by {by}, not used yet; usable until {}", moment(view.expires))),
        Standing::Denied { by } => (BAD, format!("denied by {by}")),
        Standing::Withdrawn => (DIM, "withdrawn: its task was stopped".to_owned()),
        Standing::Used { by } => (DIM, format!("approved by {by}, and used")),
    };
    let _ = writeln!(out, "{BOLD}{}{BOLD:#}  {style}{standing}{style:#}", view.id);
    let what = names(view.call.effects.iter().map(|effect| effect.word()));
    let _ = writeln!(
        out,
        "{} asks to {what}, for {}",
        names(view.chain.iter().skip(1)),
        printable(view.chain.first().map_or("", String::as_str))
    );

    head(&mut out, "The call");
    let mut call = vec![("tool", printable(&view.call.tool)), ("resources", names(&view.call.resources))];
    if !view.call.recipients.is_empty() {
        call.push(("recipients", names(&view.call.recipients)));
    }
    if let Some(amount) = view.call.amount {
        call.push(("amount", amount.to_string()));
    }
    call.push((
        "content",
        if view.call.content_bytes == 0 {
            "no text leaves".to_owned()
        } else {
            format!("{} of text would leave", bytes(view.call.content_bytes))
        },
    ));
    call.push(("digest", format!("sha256:{}", view.call.digest)));
    call.push(("asked", format!("{} ({})", moment(view.asked), distance(now, view.asked))));
    call.push(("decision", view.decision.clone()));
    pairs(&mut out, &call);

    head(&mut out, "For what");
    let mut task = vec![("task", view.task.clone().unwrap_or_else(|| "none: a person acts directly".to_owned()))];
    task.push(("purpose", printable(&view.purpose)));
    task.push(("answer is for", names(&view.address)));
    pairs(&mut out, &task);

    head(&mut out, "Who would see it");
    let mut seen = Vec::new();
    let audience = &view.audience;
    let mut who = vec![count(audience.people, "person", "people")];
    if audience.external > 0 {
        who.push(format!("{} outside", count(audience.external, "address or domain", "addresses or domains")));
    }
    if audience.public {
        who.push("the public".to_owned());
    }
    let listed = if audience.names.is_empty() { String::new() } else { format!(": {}", names(&audience.names)) };
    seen.push(("audience", format!("{}{listed}", who.join(", "))));
    if audience.beyond_address > 0 {
        seen.push(("not addressed", format!("{WARN}{} of them{WARN:#}", audience.beyond_address)));
    }
    for (name, flow) in [("found in it", &view.shown), ("task has read", &view.possible)] {
        if flow.items == 0 {
            continue;
        }
        let mut text = format!("{} ({})", count(flow.items, "item", "items"), flow.classification);
        if !flow.categories.is_empty() {
            let _ = write!(text, ", {}", names(&flow.categories));
        }
        if flow.uncleared > 0 {
            let _ = write!(
                text,
                "; {BAD}{} not cleared for it{BAD:#}",
                count(flow.uncleared, "of the audience is", "of the audience are")
            );
            if !flow.sample.is_empty() {
                let _ = write!(text, ": {}", names(&flow.sample));
            }
        }
        if flow.unknown > 0 {
            let _ = write!(text, "; {} with unknown readers", flow.unknown);
        }
        if flow.purpose_uncovered > 0 {
            let _ = write!(text, "; {} not meant for this purpose", flow.purpose_uncovered);
        }
        seen.push((name, text));
    }
    pairs(&mut out, &seen);

    if let Some(change) = &view.change {
        head(&mut out, "What it would newly show");
        pairs(&mut out, &shown_by(change));
    }

    head(&mut out, "Why it is asked");
    for reason in &view.reasons {
        let _ = writeln!(out, "  {WARN}{}{WARN:#}: {}", printable(&reason.ground), printable(&reason.sentence));
        if let Some(remedy) = &reason.remedy {
            let _ = writeln!(out, "    {DIM}without a yes:{DIM:#} {}", printable(remedy));
        }
        if let Some(approver) = &reason.approver {
            let _ = writeln!(out, "    {DIM}answers:{DIM:#} {}", printable(approver));
        }
    }

    if view.standing == Standing::Open {
        head(&mut out, "Who may answer");
        if view.may_answer.is_empty() {
            let _ = writeln!(out, "  {BAD}nobody in the directory{BAD:#}: it will expire");
        } else {
            let more = if view.may_answer_more { ", …" } else { "" };
            let _ = writeln!(out, "  {}{more}", names(&view.may_answer));
            let _ = writeln!(out, "\nA yes covers exactly this call, once, and raises no label:");
            let _ = writeln!(out, "  prudence approvals approve {} --as {}", view.id, view.may_answer[0]);
            let _ = writeln!(out, "  prudence approvals deny {} --as {}", view.id, view.may_answer[0]);
        }
    }
    out
}

/// The exposure preview, in short.
fn shown_by(change: &ChangeView) -> Vec<(&'static str, String)> {
    let who = format!("{} would see {}", count(change.newcomers, "person", "people"), count(change.items, "item", "items"));
    let mut shown = vec![("newly", format!("{who} ({})", count(change.pairs, "pair", "pairs")))];
    if change.uncleared_pairs > 0 {
        let people = count(change.uncleared, "person", "people");
        let sample = if change.sample.is_empty() { String::new() } else { format!(": {}", names(&change.sample)) };
        shown.push(("not cleared", format!("{BAD}{people}, {} of the pairs{BAD:#}{sample}", change.uncleared_pairs)));
        let categories = if change.categories.is_empty() { String::new() } else { format!(", {}", names(&change.categories)) };
        shown.push(("up to", format!("{}{categories}", change.classification)));
    }
    if !change.worst.is_empty() {
        shown.push(("the worst of it", names(&change.worst)));
    }
    if change.public {
        shown.push(("everyone", format!("{BAD}known or not, would see something that is not for everyone{BAD:#}")));
    }
    if change.external > 0 {
        shown.push(("outside", format!("{BAD}{}{BAD:#}", count(change.external, "address or domain", "addresses or domains"))));
    }
    if change.unknown > 0 {
        shown.push(("unknown", format!("{} of which nobody knows who may see them", count(change.unknown, "item", "items"))));
    }
    if change.advised {
        let word = if change.reviewed { "reviewed by a person" } else { "reviewed by nobody" };
        shown.push(("rests on", format!("what an agent wrote, {word}")));
    }
    shown
}
