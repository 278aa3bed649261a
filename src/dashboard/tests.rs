//! The dashboard on a terminal: a VT parser reads what is written, screen after screen, and shows what an operator sees.

use super::cells::Colours;
use super::width::columns;
use super::*;
use crate::trail::Totals;
use std::rc::Rc;
use vte::{Params, Parser, Perform};
use wire::{Change, TokenUsage};

/// A terminal that knows what the dashboard writes, and counts everything else.
struct Vt {
    size: Size,
    cells: Vec<String>,
    row: usize,
    column: usize,
    unknown: Vec<String>,
    coloured: usize,
}

impl Vt {
    fn new(size: Size) -> Vt {
        let cells = vec!["?".to_owned(); size.columns * size.rows];
        Vt { size, cells, row: 0, column: 0, unknown: Vec::new(), coloured: 0 }
    }

    fn feed(&mut self, text: &str) {
        Parser::new().advance(self, text.as_bytes());
    }

    fn text(&self) -> String {
        let line = |row: &[String]| row.concat().trim_end().to_owned() + "\n";
        self.cells.chunks(self.size.columns).map(line).collect()
    }

    fn cell(&mut self, column: usize) -> Option<&mut String> {
        if column >= self.size.columns { None } else { self.cells.get_mut(self.row * self.size.columns + column) }
    }
}

impl Perform for Vt {
    fn print(&mut self, c: char) {
        let (width, column) = (columns(c), self.column);
        assert!(column + width <= self.size.columns, "`{c}` beyond the end of row {}", self.row);
        match width {
            0 => self.cell(column - 1).unwrap().push(c),
            width => {
                *self.cell(column).unwrap() = c.to_string();
                (1..width).for_each(|more| self.cell(column + more).unwrap().clear());
                self.column += width;
            }
        }
    }

    fn execute(&mut self, byte: u8) {
        self.unknown.push(format!("control {byte}"));
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _ignore: bool, action: char) {
        let numbers: Vec<u16> = params.iter().map(|part| part[0]).collect();
        match (action, intermediates, numbers.as_slice()) {
            ('H', [], [row, column]) => (self.row, self.column) = (usize::from(*row) - 1, usize::from(*column) - 1),
            ('G', [], [column]) => self.column = usize::from(*column) - 1,
            ('K', [], [2]) => (0..self.size.columns).for_each(|column| *self.cell(column).unwrap() = " ".to_owned()),
            ('m', [], _) => self.coloured += usize::from(numbers.iter().any(|number| *number >= 30)),
            ('h' | 'l', b"?", [2026 | 7]) => {}
            other => self.unknown.push(format!("{other:?}")),
        }
    }

    fn esc_dispatch(&mut self, _intermediates: &[u8], _ignore: bool, byte: u8) {
        self.unknown.push(format!("escape {byte}"));
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _bell: bool) {
        self.unknown.push(format!("osc {params:?}"));
    }
}

const SIZES: [Size; 4] = [
    Size { columns: 80, rows: 24 },
    Size { columns: 200, rows: 60 },
    Size { columns: 40, rows: 10 },
    Size { columns: 1, rows: 1 },
];

fn egress(host: &str, path: &str) -> Change {
    Change::Egress { host: host.into(), port: 443, method: "GET".into(), path: path.into() }
}

fn ask(change: Change, asked: Asked, reason: &str) -> Ask {
    let (id, time) = (change.id(), format!("2026-01-01T00:00:0{}.000Z", usize::from(asked == Asked::Refused)));
    Ask {
        id,
        change,
        asked,
        reason: reason.to_owned(),
        count: 12 * u64::from(asked == Asked::Refused),
        time,
        since: Some(875),
    }
}

fn bottle(identity: &str, state: &'static str, asks: Vec<Ask>) -> Rc<BottleRow> {
    let (requests, refused, findings, sent, received) = (1240, 31, 1, 20_480, 5 << 20);
    let tokens = TokenUsage { input: 52_000, cached: 1_200_000, output: 31_000 };
    let totals = Totals { requests, refused, findings, sent, received, tokens, ..Totals::default() };
    let why = (state == "kept").then(|| format!("changes not copied back yet: 2 commits in {identity}"));
    let since = Some(1000 - 900);
    Rc::new(BottleRow { identity: identity.to_owned(), state, since, why, totals, asks, ..BottleRow::default() })
}

fn model() -> Model {
    let mut model = Model::default();
    model.set_now(1000);
    model.set_bottles(vec![
        bottle(
            "fixer-a1b2c",
            "live",
            vec![
                ask(
                    egress("api.example.org", "/repos/team/app/pulls"),
                    Asked::Proposed,
                    "I need the open pull requests.",
                ),
                ask(
                    egress("static.example.org", "/assets/*"),
                    Asked::Refused,
                    "host `static.example.org` is not on the allowlist",
                ),
            ],
        ),
        bottle("reviewer-d3e4f", "detached", vec![]),
        bottle("writer-g5h6i", "kept", vec![]),
    ]);
    model
}

/// Draws a model as the program does, screen after screen, on one terminal.
fn shown(size: Size, models: &[&Model]) -> String {
    let mut vt = Vt::new(size);
    let mut before: Option<Screen> = None;
    for model in models {
        let screen = draw(model, size);
        vt.feed(&screen.change_from(before.as_ref(), Colours::Sixteen));
        assert_eq!(vt.unknown, [""; 0]);
        assert_eq!(vt.text(), screen.text(), "what is drawn is what was meant");
        before = Some(screen);
    }
    vt.text()
}

/// Compared with a file of its own; `UPDATE=1` writes it.
#[track_caller]
fn snap(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snap/dashboard").join(name);
    if std::env::vars_os().any(|(name, _)| name == "UPDATE") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap_or_default(), "{}", path.display());
}

fn pressed(mut model: Model, keys: &[Key]) -> Model {
    for key in keys {
        if let Some(Command::Preview(of)) = model.press(*key) {
            let lines = ["this adds", "  { \"host\": \"api.example.org\" }", "it opens", "  GET api.example.org/repos"];
            assert!(model.show_preview(&of, preview(&lines)));
            mark_shown(&mut model, SIZES[0]);
        }
    }
    model
}

fn mark_shown(model: &mut Model, size: Size) {
    if let Some(window) = detail_window(model, size) {
        model.mark_shown(window);
    }
}

fn preview(lines: &[&str]) -> Preview {
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    Preview { lines, question: Some("approve this for the session".to_owned()) }
}

#[test]
fn screens_of_each_size() {
    for size in SIZES {
        let at = format!("{}x{}", size.columns, size.rows);
        snap(&format!("lists-{at}"), &shown(size, &[&model()]));
        snap(&format!("approve-{at}"), &shown(size, &[&model(), &pressed(model(), &[Key::Char('a')])]));
    }
    let size = SIZES[0];
    snap("help-80x24", &shown(size, &[&pressed(model(), &[Key::Char('?')])]));
    snap("bottles-40x10", &shown(SIZES[2], &[&pressed(model(), &[Key::Tab, Key::Down])]));
    snap("empty-80x24", &shown(size, &[&Model::default()]));
    snap("table", &table(&model()));
}

/// Every text that a bottle can put on the screen tries to act on it: rows, columns and everything around stay.
#[test]
fn hostile_texts_stay_in_their_place() {
    let attacks = [
        "\u{1b}[2J\u{1b}[H\u{1b}]0;owned\u{7}\u{9b}31m\u{1b}P0;1|17/17\u{1b}\\",
        "\r\n> approved\n\n\n",
        "\u{202e}gnp.exe\u{2066}\u{200b}\u{feff}\u{ad}",
        "日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語",
        "e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}a",
        "\u{301}\u{302}starts with marks",
        "👩‍👩‍👧‍👦🇩🇪☃️",
        &" ".repeat(500),
        &"x".repeat(100_000),
        "\u{e000}\u{f8ff}\u{10ffff}\u{fffe}",
    ];
    for attack in attacks {
        let all = vec![
            ask(egress(attack, attack), Asked::Proposed, attack),
            ask(Change::Git { remote: attack.to_owned(), commits: vec![attack.to_owned()] }, Asked::Refused, attack),
        ];
        let mut hostile = Model::default();
        hostile.set_bottles(vec![bottle(attack, "kept", all)]);
        for size in SIZES {
            let calm = model();
            let mut clone = Model::default();
            clone.set_bottles(hostile.bottles().to_vec());
            let detail = pressed(clone, &[Key::Char('a')]);
            let text = shown(size, &[&calm, &hostile, &detail, &hostile, &calm]);
            assert_eq!(text, shown(size, &[&calm]), "{attack:?}: nothing of it stays");
        }
        let text = table(&hostile);
        assert!(
            !text.chars().any(|c| c != '\n' && crate::text::needs_escape(c)) && text.lines().count() == 5,
            "{text}"
        );
    }
}

/// An agent's words, however many, leave what approving would open on the screen.
#[test]
fn words_push_nothing_off_the_screen() {
    let mut wordy = Model::default();
    let words = "I need this. ".repeat(80);
    wordy.set_bottles(vec![bottle("a-00000", "live", vec![ask(egress("a.org", "/x"), Asked::Proposed, &words)])]);
    let text = shown(SIZES[2], &[&pressed(wordy, &[Key::Char('a')])]);
    assert!(text.contains("it opens") && text.contains("GET api.example.org/repos"), "{text}");
    assert!(text.contains("lines 1 to 7 of"), "{text}");
}

#[test]
fn the_change_of_a_screen_is_small() {
    let size = SIZES[1];
    let (first, second) = (draw(&model(), size), draw(&pressed(model(), &[Key::Down]), size));
    let change = second.change_from(Some(&first), Colours::Sixteen);
    assert!(change.len() < 1200 && !change.contains("\x1b[2J"), "{}", change.len());
    assert_eq!(first.change_from(Some(&first), Colours::Sixteen), "");
    let resized = draw(&model(), SIZES[0]).change_from(Some(&first), Colours::Sixteen);
    let mut vt = Vt::new(SIZES[0]);
    vt.feed(&resized);
    assert_eq!(vt.text(), draw(&model(), SIZES[0]).text(), "another size is drawn whole");
}

#[test]
fn no_colour_is_no_colour() {
    let screen = draw(&model(), SIZES[0]);
    let coloured = |colours| {
        let mut vt = Vt::new(SIZES[0]);
        vt.feed(&screen.change_from(None, colours));
        vt.coloured
    };
    assert!(coloured(Colours::Sixteen) > 0);
    assert_eq!(coloured(Colours::None), 0);
}

fn place(model: &Model) -> (String, Change) {
    let (bottle, ask) = model.ask_at(model.ask).unwrap();
    (bottle.identity.clone(), ask.change.clone())
}

/// What is decided is what was under the cursor, whatever comes and goes meanwhile.
#[test]
fn the_cursor_stays_on_what_it_is_on() {
    let mut model = model();
    let on = place(&model);
    let mut more = model.bottles().to_vec();
    let first =
        Ask { time: "2025-01-01T00:00:00.000Z".into(), ..ask(egress("other.org", "/"), Asked::Proposed, "before") };
    more.insert(0, bottle("aaa-00000", "live", vec![first.clone(), ask(egress("z.org", "/"), Asked::Refused, "")]));
    model.set_bottles(more);
    assert_eq!(place(&model), on);
    assert_eq!(model.asks().next().unwrap().1, &first, "the oldest is first");
    let Some(Command::Preview(of)) = model.press(Key::Char('a')) else { panic!() };
    assert_eq!((of.ask.identity.clone(), of.ask.change.clone()), on);
    assert_eq!((of.step, of.wider), (AskAction::Approve, 0));
    // Nothing is decided before it was said what that would do.
    mark_shown(&mut model, SIZES[0]);
    assert_eq!(model.press(Key::Char('y')), None);
    model.show_preview(&of, preview(&[]));
    assert_eq!(model.press(Key::Char('y')), None, "it is not on the screen yet");
    mark_shown(&mut model, SIZES[0]);
    assert_eq!(model.press(Key::Char('y')), Some(Command::Approve(of.clone())));
    // Nor is it decided twice.
    let Some(Command::Preview(again)) = model.press(Key::Char('a')) else { panic!() };
    model.show_preview(&again, preview(&[]));
    mark_shown(&mut model, SIZES[0]);
    assert_eq!((model.press(Key::Char('y')), model.open_decisions()), (None, 1));
    model.end_decision(&of.ask);
    assert_eq!(model.open_decisions(), 0);
    // It is decided in another terminal while the question stands.
    let Some(Command::Preview(once)) = model.press(Key::Char('o')) else { panic!() };
    assert_eq!(once.step, AskAction::Once);
    // What a thread found out for another question is no answer to this one.
    assert!(!model.show_preview(&of, preview(&[])) && model.show_preview(&once, preview(&[])));
    mark_shown(&mut model, SIZES[0]);
    model.set_bottles(vec![bottle("fixer-a1b2c", "live", vec![])]);
    assert_eq!(model.press(Key::Char('y')), None);
}

#[test]
fn what_cannot_be_done_is_not_asked() {
    let mut model = model();
    let Some(Command::Preview(of)) = model.press(Key::Char('a')) else { panic!() };
    model.show_preview(&of, Preview { question: None, ..preview(&["no route can"]) });
    mark_shown(&mut model, SIZES[0]);
    assert_eq!(model.press(Key::Char('y')), None);
}

/// A warning below the fold must have been on the screen before `y` counts, however the rows wrap.
#[test]
fn nothing_is_approved_that_was_not_shown() {
    let long = format!("opens    GET api.example.org/{}", "segment/".repeat(60));
    let lines = [long.as_str(), "opens    POST api.example.org/**", "WARNING  this is the last line of ours"];
    let question = || {
        let mut model = model();
        let Some(Command::Preview(of)) = model.press(Key::Char('a')) else { panic!() };
        model.show_preview(&of, preview(&lines));
        mark_shown(&mut model, SIZES[2]);
        model
    };
    let draw = |model: &mut Model| {
        let text = shown(SIZES[2], &[model]);
        mark_shown(model, SIZES[2]);
        text
    };
    let mut model = question();
    let text = draw(&mut model);
    assert!(!text.contains("WARNING") && text.contains("j shows the rest; y counts after that"), "{text}");
    assert_eq!(model.press(Key::Char('y')), None);
    // Row by row, to the very end.
    let mut seen = text;
    while !seen.contains("I need the open pull requests.") {
        assert_eq!(model.press(Key::Down), None);
        let text = draw(&mut model);
        assert_ne!(seen, text, "scrolled to its end");
        seen = text;
    }
    assert!(matches!(model.press(Key::Char('y')), Some(Command::Approve(_))));
    // What was jumped over was not seen; and keys that come at once were pressed before anything was drawn.
    let mut model = question();
    model.press(Key::End);
    assert!(draw(&mut model).contains("WARNING"));
    assert_eq!(model.press(Key::Char('y')), None);
    let mut model = question();
    (0..30).for_each(|_| drop(model.press(Key::Down)));
    assert_eq!(model.press(Key::Char('y')), None);
    // Pages leave nothing out.
    let mut model = question();
    for _ in 0..5 {
        model.press(Key::PageDown);
        draw(&mut model);
    }
    assert!(matches!(model.press(Key::Char('y')), Some(Command::Approve(_))));
    // A terminal of another width has other rows; one without room shows nothing.
    let mut model = question();
    mark_shown(&mut model, SIZES[3]);
    assert_eq!(model.press(Key::Char('y')), None);
    mark_shown(&mut model, SIZES[1]);
    assert!(matches!(model.press(Key::Char('y')), Some(Command::Approve(_))));
}

#[test]
fn an_engine_that_does_not_answer_is_told_on_its_row() {
    let mut model = model();
    let mut rows = model.bottles().to_vec();
    let words = "the engine does not answer: it said \u{1b}[2J";
    rows[1] = Rc::new(BottleRow { trouble: Some(words.to_owned()), ..(*rows[1]).clone() });
    model.set_bottles(rows);
    for size in SIZES {
        let text = shown(size, &[&pressed_away(&model)]);
        assert!(size.columns < 40 || text.contains("the engine"), "{text}");
    }
    assert!(table(&model).contains("the engine does not answer: it said \\u{1b}[2J"), "{}", table(&model));
}

/// A narrow screen has no column for it.
#[test]
fn the_work_of_the_bottle_under_the_cursor_is_told() {
    let at = |keys: &[Key], size: Size| shown(size, &[&pressed(model(), keys)]);
    let (to_bottle, words) = ([Key::Tab, Key::End], "changes not copied back yet: 2 commits in writer-g5h6i");
    assert!(!at(&[], SIZES[0]).contains(words));
    assert!(at(&to_bottle, SIZES[0]).lines().last().unwrap().contains(words), "{}", at(&to_bottle, SIZES[0]));
    assert!(at(&to_bottle, SIZES[1]).lines().last().unwrap().starts_with("? help"));
}

/// The bottles have the screen.
fn pressed_away(model: &Model) -> Model {
    let mut copy = Model::default();
    copy.set_bottles(model.bottles().to_vec());
    copy.press(Key::Tab);
    copy
}

#[test]
fn keys_ask_for_what_they_say() {
    let asked = |keys: &[Key]| {
        let mut model = model();
        keys.iter().fold(None, |_, key| model.press(*key))
    };
    let name = || "fixer-a1b2c".to_owned();
    assert_eq!(asked(&[Key::Char('q')]), Some(Command::Quit));
    assert_eq!(asked(&[Key::Ctrl('c')]), Some(Command::Quit));
    assert_eq!(asked(&[Key::Char('r'), Key::Ctrl('c')]), Some(Command::Quit));
    assert_eq!(asked(&[Key::Ctrl('z')]), Some(Command::Suspend));
    assert_eq!(asked(&[Key::Char('A')]), Some(Command::Attach(name())));
    assert_eq!(asked(&[Key::Char('d')]), Some(Command::Detach(name())));
    assert_eq!(asked(&[Key::Tab, Key::Down, Key::Char('l')]), Some(Command::Logs("reviewer-d3e4f".into())));
    assert_eq!(asked(&[Key::Char('S')]), None);
    assert_eq!(asked(&[Key::Char('S'), Key::Char('y')]), Some(Command::Stop(name())));
    assert_eq!(asked(&[Key::Char('S'), Key::Enter]), None);
    let Some(Command::Preview(wider)) = asked(&[Key::Enter, Key::Char('w')]) else { panic!() };
    assert_eq!(wider.wider, 1);
    let typed: Vec<Key> =
        "rno q\u{7f}!".chars().map(|c| if c == '\u{7f}' { Key::Backspace } else { Key::Char(c) }).collect();
    let Some(Command::Reject { reason, .. }) = asked(&[&typed[..], &[Key::Enter]].concat()) else { panic!() };
    assert_eq!(reason.as_deref(), Some("no !"));
    let escaped = asked(&[&typed[..], &[Key::Escape, Key::Enter]].concat());
    assert!(!matches!(escaped, Some(Command::Reject { .. })), "{escaped:?}");
}

#[test]
fn lists_move_within_their_ends() {
    let mut model = model();
    let at = |model: &mut Model, key| {
        model.press(key);
        (model.bottle, model.ask)
    };
    for (key, wanted) in [
        (Key::Down, (0, 1)),
        (Key::Down, (0, 1)),
        (Key::Char('k'), (0, 0)),
        (Key::Up, (0, 0)),
        (Key::End, (0, 1)),
        (Key::Home, (0, 0)),
        (Key::Tab, (0, 0)),
        (Key::PageDown, (2, 0)),
        (Key::Enter, (2, 0)),
    ] {
        assert_eq!(at(&mut model, key), wanted, "{key:?}");
    }
    assert_eq!((model.only.as_deref(), model.asks().len()), (Some("writer-g5h6i"), 0));
    model.press(Key::Escape);
    assert_eq!(model.asks().len(), 2);
}
