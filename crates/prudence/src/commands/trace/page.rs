//! What was found, as one page of HTML that needs nothing else and runs nothing: the figures, which norm asked how often, and where in each
//! attacked run the attack ended.

use ::trace::Figures;
use ::trace::format::By;
use ::trace::run::{Answer, Judged, JudgedStep};
use askama::Template;

use super::Set;
use super::show::{percent, short};

/// Attacked runs in the picture.
const STRIPS_MAX: usize = 600;
/// Runs side by side in the picture.
const STRIPS_A_ROW: usize = 6;
/// Steps of a run in the picture.
const STEPS_MAX: usize = 24;
/// The width and the height of a step in the picture.
const STEP: usize = 6;
/// From one strip to the next.
const STRIP_GAP: usize = 3;
/// Runs that the lists spell out.
const LISTED_MAX: usize = 200;
/// The height of a norm's bar with its space.
const BAR_STEP: usize = 30;
/// The width of the longest bar.
const BAR_WIDTH: u64 = 380;
/// Where bars begin.
const BAR_LEFT: usize = 190;

#[derive(Template)]
#[template(path = "trace.html")]
struct Page<'a> {
    sets: Vec<Row<'a>>,
    together: &'a Figures,
    prompt_free_percent: u64,
    silent_percent: u64,
    bars: Vec<Bar<'a>>,
    bars_height: usize,
    strips: Vec<Strip<'a>>,
    strips_width: usize,
    strips_height: usize,
    strips_left: usize,
    asked: Vec<Listed<'a>>,
    asked_left: usize,
    silent: Vec<Listed<'a>>,
    silent_left: usize,
}

struct Row<'a> {
    name: String,
    figures: &'a Figures,
    prompt_free_percent: u64,
    silent_percent: u64,
}

/// How often a norm held: for what the requester wanted, and for what somebody else did.
struct Bar<'a> {
    norm: &'a str,
    y: usize,
    wanted: u64,
    injected: u64,
    wanted_width: u64,
    injected_width: u64,
    injected_x: u64,
    label_x: u64,
}

/// An attacked run, step by step.
struct Strip<'a> {
    id: &'a str,
    cells: Vec<Cell>,
}

struct Cell {
    x: usize,
    y: usize,
    class: &'static str,
}

struct Listed<'a> {
    trace: &'a Judged,
    steps: Vec<&'a JudgedStep>,
}

/// The page.
pub fn html(sets: &[Set], together: &Figures) -> String {
    let all = || sets.iter().flat_map(|set| &set.traces);
    let attacked: Vec<&Judged> = all().filter(|trace| trace.attacked).collect();
    let mut asked: Vec<Listed<'_>> = all().filter(|trace| !trace.attacked).filter_map(Listed::asked).collect();
    let mut silent: Vec<Listed<'_>> =
        attacked.iter().filter(|trace| trace.is_silent()).map(|trace| Listed::silent(trace)).collect();
    let left = |list: &mut Vec<Listed<'_>>| {
        let left = list.len().saturating_sub(LISTED_MAX);
        list.truncate(LISTED_MAX);
        left
    };
    let (asked_left, silent_left) = (left(&mut asked), left(&mut silent));
    let longest = attacked.iter().take(STRIPS_MAX).map(|trace| trace.steps.len()).max().unwrap_or(0);
    let strip_width = (longest.min(STEPS_MAX) + 2) * STEP;
    let shown = attacked.iter().take(STRIPS_MAX).enumerate();
    let strips: Vec<Strip<'_>> = shown.map(|(at, trace)| Strip::of(at, strip_width, trace)).collect();
    let bars = bars(together);
    let page = Page {
        sets: sets.iter().map(Row::of).collect(),
        together,
        prompt_free_percent: percent(together.benign.prompt_free, together.benign.traces),
        silent_percent: percent(together.attacked.silent, together.attacked.traces),
        bars_height: bars.len() * BAR_STEP,
        bars,
        strips_width: STRIPS_A_ROW * strip_width,
        strips_height: strips.len().div_ceil(STRIPS_A_ROW) * (STEP + STRIP_GAP),
        strips_left: attacked.len() - strips.len(),
        strips,
        asked,
        asked_left,
        silent,
        silent_left,
    };
    page.render().expect("it is written into memory, by what cannot fail")
}

impl<'a> Row<'a> {
    fn of(set: &'a Set) -> Self {
        let Figures { benign, attacked, .. } = &set.figures;
        Self {
            name: short(&set.file),
            figures: &set.figures,
            prompt_free_percent: percent(benign.prompt_free, benign.traces),
            silent_percent: percent(attacked.silent, attacked.traces),
        }
    }
}

fn bars(together: &Figures) -> Vec<Bar<'_>> {
    let of = |norm: &::trace::NormFigures| norm.benign + norm.wanted;
    let mut norms: Vec<_> = together.norms.iter().collect();
    norms.sort_by_key(|(_, norm)| std::cmp::Reverse((of(norm) + norm.injected, norm.injected)));
    let most = norms.iter().map(|(_, norm)| of(norm) + norm.injected).max().unwrap_or(1).max(1);
    let width = |times: u64| times * BAR_WIDTH / most;
    norms
        .into_iter()
        .enumerate()
        .map(|(at, (name, norm))| {
            let (wanted_width, injected_width) = (width(of(norm)), width(norm.injected));
            let injected_x = BAR_LEFT as u64 + wanted_width;
            Bar {
                norm: name,
                y: at * BAR_STEP,
                wanted: of(norm),
                injected: norm.injected,
                wanted_width,
                injected_width,
                injected_x,
                label_x: injected_x + injected_width + 8,
            }
        })
        .collect()
}

impl<'a> Strip<'a> {
    fn of(at: usize, width: usize, trace: &'a Judged) -> Self {
        let (left, top) = (at % STRIPS_A_ROW * width, at / STRIPS_A_ROW * (STEP + STRIP_GAP));
        let cell = |(number, step): (usize, &JudgedStep)| Cell { x: left + number * STEP, y: top, class: class(step) };
        Self { id: &trace.id, cells: trace.steps.iter().take(STEPS_MAX).enumerate().map(cell).collect() }
    }
}

/// What a step is in the picture.
fn class(step: &JudgedStep) -> &'static str {
    match (step.by, step.answer) {
        (Some(By::Injected), _) if !step.is_consequential() => "reads",
        (Some(By::Injected), Answer::Permitted | Answer::Approved) => "through",
        (Some(By::Injected), Answer::Stopped | Answer::Refused) => "ended",
        (Some(By::User) | None, Answer::Permitted) => "own",
        (Some(By::User) | None, Answer::Approved | Answer::Stopped | Answer::Refused) => "asked",
    }
}

impl<'a> Listed<'a> {
    fn asked(trace: &'a Judged) -> Option<Self> {
        Some(Self { trace, steps: vec![trace.first_prompt()?] })
    }

    fn silent(trace: &'a Judged) -> Self {
        Self { trace, steps: trace.attacks().collect() }
    }
}
