//! The rows of the dashboard: from what is known to cells, for a terminal of any size.

use super::cells::{CellSpan, Screen, Size, Style};
use super::model::{Ask, Asked, BottleRow, Detail, DetailWindow, Focus, Model, Overlay, Preview};
use super::width::columns;
use crate::render;
use crate::text::{one_line, unbroken};
use std::fmt::Write;
use wire::Change;

/// A terminal of fewer rows shows one list at a time.
const MIN_ROWS_OF_BOTH: usize = 14;
/// Columns of an identity, and of the names beside an ask, at most.
const MAX_IDENTITY_COLUMNS: usize = 32;

const LIST_KEYS: &str = "? help  q quit  a approve  o once  r reject  enter detail  tab list  w widen  e edit  s save  A attach  d detach  l logs  S stop";
const DETAIL_KEYS: &str = "a approve  o once  r reject  w wider  e edit  s save  j k scroll  escape back";
const HELP: &[&str] = &[
    "up down j k g G   move                tab  the other list",
    "enter             on an ask: what approving would do",
    "                  on a bottle: its asks alone, and all again",
    "a   approve for the session           o    approve once: a request or a minute",
    "s   approve and save in the manifest  e    approve what your editor makes of it",
    "r   reject, with a reason             w    the next wider change",
    "A   attach to the bottle              d    detach it from its terminal",
    "l   its logs                          S    stop it",
    "^L  draw again                        ^Z   to the shell    q  quit",
    "",
    "A question is answered with y. What is pasted is no key.",
];

/// Columns of a screen from which on the work of each bottle has one. On others the foot tells that of the one under the cursor.
const WORK_MIN_SCREEN: usize = 140;

/// A column of the bottles: its title, its width, and from which width of the screen it is shown.
struct Column {
    title: &'static str,
    width: usize,
    min_screen: usize,
    is_number: bool,
    text: fn(&Model, &BottleRow) -> String,
}

const COLUMNS: [Column; 10] = [
    Column { title: "STATE", width: 8, min_screen: 0, is_number: false, text: |_, row| row.state.to_owned() },
    Column { title: "AGE", width: 4, min_screen: 50, is_number: true, text: |model, row| age(model, row.since) },
    Column { title: "ASKS", width: 4, min_screen: 0, is_number: true, text: |_, row| proposals(row).to_string() },
    Column {
        title: "REQUESTS",
        width: 8,
        min_screen: 60,
        is_number: true,
        text: |_, row| row.totals.requests.to_string(),
    },
    Column {
        title: "REFUSED",
        width: 7,
        min_screen: 50,
        is_number: true,
        text: |_, row| row.totals.refused.to_string(),
    },
    Column {
        title: "FOUND",
        width: 5,
        min_screen: 70,
        is_number: true,
        text: |_, row| row.totals.findings.to_string(),
    },
    Column {
        title: "TOKENS",
        width: 6,
        min_screen: 80,
        is_number: true,
        text: |_, row| tokens(row.totals.tokens.total()),
    },
    Column { title: "SENT", width: 9, min_screen: 100, is_number: true, text: |_, row| bytes(row.totals.sent) },
    Column { title: "RECEIVED", width: 9, min_screen: 110, is_number: true, text: |_, row| bytes(row.totals.received) },
    Column { title: "WORK", width: 40, min_screen: WORK_MIN_SCREEN, is_number: false, text: |_, row| work(row) },
];

/// The screen of this size.
pub fn draw(model: &Model, size: Size) -> Screen {
    let mut screen = Screen::new(size);
    if size.rows == 0 || size.columns == 0 {
        return screen;
    }
    draw_bar(&mut screen, model);
    let body = Area { first: 1, rows: size.rows.saturating_sub(2) };
    match &model.overlay {
        Overlay::Detail(detail) => draw_detail(&mut screen, model, detail),
        Overlay::Help => {
            for (index, line) in HELP.iter().take(body.rows).enumerate() {
                put(&mut screen, body.first + index, line, Style::Plain);
            }
        }
        Overlay::None | Overlay::Reason { .. } | Overlay::Stop(_) => draw_lists(&mut screen, model, body),
    }
    if size.rows > 1 {
        draw_foot(&mut screen, model);
    }
    screen
}

/// Rows of a screen.
#[derive(Clone, Copy)]
struct Area {
    first: usize,
    rows: usize,
}

fn put(screen: &mut Screen, row: usize, text: &str, style: Style) {
    screen.put(CellSpan { row, column: 0, width: usize::MAX }, text, style);
}

fn draw_bar(screen: &mut Screen, model: &Model) {
    let waiting: usize = model.bottles().iter().map(|bottle| proposals(bottle)).sum();
    let bottles = model.bottles().len();
    let deciding = if model.open_decisions() > 0 { "   deciding…" } else { "" };
    let text = format!(" claude-bottle   {}   {}{deciding}", counted(bottles, "bottle"), counted(waiting, "proposal"));
    put(screen, 0, &text, Style::Bar);
    screen.paint(0, Style::Bar);
}

fn draw_foot(screen: &mut Screen, model: &Model) {
    let row = screen.size.rows - 1;
    let (text, style) = match (&model.overlay, &model.message) {
        (Overlay::Reason { text, .. }, _) => {
            (format!("reject, and why (for the agent; enter sends, escape does not): {}", one_line(text)), Style::Bold)
        }
        (Overlay::Stop(identity), _) => {
            (format!("stop `{}`? y stops it, any other key does not", one_line(identity)), Style::Bold)
        }
        (
            Overlay::Detail(Detail {
                is_question: true,
                preview: Some(Preview { question: Some(question), .. }),
                seen,
                ..
            }),
            _,
        ) => match seen.is_whole {
            true => (format!("{question}? y does it, n does not"), Style::Bold),
            false => ("j shows the rest; y counts after that".to_owned(), Style::Bold),
        },
        (_, Some(message)) => (one_line(message), Style::Warn),
        (Overlay::Detail(_), _) => (DETAIL_KEYS.to_owned(), Style::Soft),
        (Overlay::Help, _) => ("any key goes back".to_owned(), Style::Soft),
        (Overlay::None, _) => match model.focused_bottle().map(work).filter(|work| !work.is_empty()) {
            // Its column is the last that a narrow screen has room for.
            Some(work) if screen.size.columns < WORK_MIN_SCREEN => (work, Style::Soft),
            _ => (LIST_KEYS.to_owned(), Style::Soft),
        },
    };
    put(screen, row, &text, style);
}

fn draw_lists(screen: &mut Screen, model: &Model, body: Area) {
    if screen.size.rows < MIN_ROWS_OF_BOTH {
        return match model.focus {
            Focus::Bottles => draw_bottles(screen, model, body),
            Focus::Asks => draw_asks(screen, model, body),
        };
    }
    let rows = (model.bottles().len().max(1) + 1).min(body.rows / 2);
    draw_bottles(screen, model, Area { first: body.first, rows });
    draw_asks(screen, model, Area { first: body.first + rows + 1, rows: body.rows - rows - 1 });
}

/// The index of the first of `count` rows that is shown, so that the cursor's row is.
fn first_shown(cursor: usize, count: usize, rows: usize) -> usize {
    cursor.saturating_sub(rows / 2).min(count.saturating_sub(rows))
}

fn draw_bottles(screen: &mut Screen, model: &Model, area: Area) {
    let width = screen.size.columns;
    let shown: Vec<&Column> = COLUMNS.iter().filter(|column| width >= column.min_screen).collect();
    let others: usize = shown.iter().map(|column| column.width + 2).sum();
    let longest =
        model.bottles().iter().map(|bottle| bottle.identity.len()).max().unwrap_or(0).clamp(8, MAX_IDENTITY_COLUMNS);
    let identity = longest.min(width.saturating_sub(others + 2)).max(6);
    put(screen, area.first, "  IDENTITY", Style::Soft);
    let mut column = identity + 4;
    for Column { title, width, is_number, .. } in &shown {
        let title = if *is_number { format!("{title:>width$}") } else { (*title).to_owned() };
        screen.put(CellSpan { row: area.first, column, width: *width }, &title, Style::Soft);
        column += width + 2;
    }
    if model.bottles().is_empty() && area.rows > 1 {
        put(screen, area.first + 1, "  no sessions", Style::Plain);
    }
    let rows = area.rows.saturating_sub(1);
    let first = first_shown(model.bottle, model.bottles().len(), rows);
    for (index, bottle) in model.bottles().iter().enumerate().skip(first).take(rows) {
        let row = area.first + 1 + index - first;
        let is_on = model.focus == Focus::Bottles && index == model.bottle;
        let style = |style: Style| if is_on { Style::Cursor } else { style };
        let mark = if is_on { ">" } else { " " };
        put(screen, row, mark, style(Style::Plain));
        screen.put(CellSpan { row, column: 2, width: identity }, &one_line(&bottle.identity), style(Style::Plain));
        let mut column = identity + 4;
        for Column { title, width, is_number, text, .. } in &shown {
            // Numbers of before would look like those of now.
            if let Some(trouble) = bottle.trouble.as_ref().filter(|_| *title != "STATE") {
                let width = screen.size.columns;
                screen.put(CellSpan { row, column, width }, &one_line(trouble), style(Style::Bad));
                break;
            }
            let text = text(model, bottle);
            let text = if *is_number { format!("{text:>width$}") } else { text };
            screen.put(CellSpan { row, column, width: *width }, &text, style(tone(title, bottle)));
            column += width + 2;
        }
        if is_on {
            screen.paint(row, Style::Cursor);
        }
    }
}

fn tone(title: &str, bottle: &BottleRow) -> Style {
    match (title, bottle.state) {
        ("STATE", "live") => Style::Good,
        ("STATE", "detached") => Style::Warn,
        ("STATE", "lost") => Style::Bad,
        ("STATE", _) => Style::Soft,
        ("ASKS", _) if proposals(bottle) > 0 => Style::Warn,
        ("FOUND", _) if bottle.totals.findings > 0 => Style::Bad,
        _ => Style::Plain,
    }
}

fn draw_asks(screen: &mut Screen, model: &Model, area: Area) {
    let asks = model.asks();
    let count = asks.len();
    let of = model.only.as_ref().map(|only| format!(" of {}", one_line(only)));
    let place = if count > 0 { format!("  {} of {count}", model.ask + 1) } else { String::new() };
    let title = format!("  ASKED FOR AND REFUSED{}{place}", of.unwrap_or_default());
    put(screen, area.first, &title, Style::Soft);
    if count == 0 && area.rows > 1 {
        put(
            screen,
            area.first + 1,
            "  nothing waits, and nothing was refused that a route could let pass",
            Style::Plain,
        );
    }
    let rows = area.rows.saturating_sub(1);
    let first = first_shown(model.ask, count, rows);
    let width = screen.size.columns;
    // Names of bottles are left out where there is no room, or where they are all the same.
    let name = match model.only {
        None if width >= 70 => model.bottles().iter().map(|bottle| bottle.identity.len()).max().unwrap_or(0).min(20),
        _ => 0,
    };
    let column_of_change = if name > 0 { 14 + name } else { 13 };
    let shown: Vec<(&BottleRow, &Ask)> = asks.skip(first).take(rows).collect();
    let longest = shown.iter().map(|(_, ask)| wide(&render::change_text(&ask.change))).max().unwrap_or(0);
    let room = width.saturating_sub(column_of_change);
    let change = if room > 50 { longest.min(room * 3 / 5) } else { longest.min(room) };
    for (index, (bottle, ask)) in shown.into_iter().enumerate() {
        let row = area.first + 1 + index;
        let is_on = model.focus == Focus::Asks && first + index == model.ask;
        let style = |style: Style| if is_on { Style::Cursor } else { style };
        let base = if ask.asked == Asked::Proposed { Style::Plain } else { Style::Soft };
        put(screen, row, if is_on { ">" } else { " " }, style(base));
        let age = age(model, ask.since);
        let word = match ask.asked {
            Asked::Proposed => "asks".to_owned(),
            Asked::Refused => format!("{}x", ask.count.min(9999)),
        };
        screen.put(
            CellSpan { row, column: 2, width: 5 },
            &word,
            style(if ask.asked == Asked::Proposed { Style::Warn } else { base }),
        );
        screen.put(CellSpan { row, column: 8, width: 4 }, &format!("{age:>4}"), style(base));
        if name > 0 {
            screen.put(CellSpan { row, column: 13, width: name }, &one_line(&bottle.identity), style(base));
        }
        let text = render::change_text(&ask.change);
        let bold = if ask.asked == Asked::Proposed { Style::Bold } else { base };
        screen.put(CellSpan { row, column: column_of_change, width: change }, &text, style(bold));
        let column = column_of_change + change + 2;
        screen.put(CellSpan { row, column, width }, &one_line(&ask.reason), style(base));
        if is_on {
            screen.paint(row, Style::Cursor);
        }
    }
}

fn draw_detail(screen: &mut Screen, model: &Model, detail: &Detail) {
    let Some(DetailRows { rows, .. }) = detail_rows(model, detail, screen.size.columns) else { return };
    let window = window_of(rows.len(), screen.size);
    let first = detail.scroll.min(rows.len() - window);
    for (index, (text, style)) in rows.iter().skip(first).take(window).enumerate() {
        put(screen, 1 + index, text, *style);
    }
    if window < rows.len() {
        let text = format!("lines {} to {} of {}: j k scroll", first + 1, first + window, rows.len());
        // A screen without a row for it has none of the detail either.
        screen.put(CellSpan { row: 1 + window, column: 0, width: screen.size.columns }, &text, Style::Warn);
    }
}

/// Rows of a detail that are on a screen of this size. Where not all are, one row says so.
fn window_of(rows: usize, size: Size) -> usize {
    let body = size.rows.saturating_sub(2);
    if rows > body { body.saturating_sub(1) } else { rows }
}

/// What a screen of this size shows of the detail that is open; `None` where none is.
pub fn detail_window(model: &Model, size: Size) -> Option<DetailWindow> {
    let Overlay::Detail(detail) = &model.overlay else { return None };
    let DetailRows { rows, ours } = detail_rows(model, detail, size.columns)?;
    let (rows, window) = (rows.len(), window_of(rows.len(), size));
    Some(DetailWindow { columns: size.columns, rows, ours, window })
}

/// The rows of a detail, wrapped.
struct DetailRows {
    rows: Vec<(String, Style)>,
    /// So many of the first are this program's: all of them must be seen before anything is approved.
    ours: usize,
}

/// `None` where the ask is gone.
fn detail_rows(model: &Model, detail: &Detail, width: usize) -> Option<DetailRows> {
    let ask = model.ask(&detail.of.ask)?;
    let mut rows = Vec::new();
    let mut add = |text: &str, style: Style| {
        rows.extend(wrapped(text, width).into_iter().map(|row| (row, style)));
        rows.len()
    };
    let name = one_line(&detail.of.ask.identity);
    add(&format!("{name}/{}  {}", ask.id, render::change_text(&ask.change)), Style::Bold);
    if let Change::Egress { host, .. } = &ask.change
        && host.split('.').any(|label| label.starts_with("xn--"))
    {
        add("LOOK TWICE: an international name, which may look like another one", Style::Bad);
    }
    let mut ours = 0;
    match &detail.preview {
        None => ours = add("…", Style::Soft),
        Some(preview) => {
            for line in &preview.lines {
                let is_bad = preview.question.is_none() || line.starts_with("WARNING");
                ours = add(&unbroken(line), if is_bad { Style::Bad } else { Style::Plain });
            }
        }
    }
    // The agent's words come last: however many they are, they push nothing of ours off the screen.
    let ago = age(model, ask.since);
    let ago = if ago.is_empty() { ago } else { format!(" {ago} ago") };
    match ask.asked {
        Asked::Proposed => {
            add(&format!("the agent asked for it{ago}, and says:"), Style::Soft);
            add(&format!("  {}", one_line(&ask.reason)), Style::Soft);
        }
        Asked::Refused => {
            add(
                &format!("refused {}, the last{ago}: {}", render::times(ask.count), one_line(&ask.reason)),
                Style::Soft,
            );
        }
    }
    Some(DetailRows { rows, ours })
}

/// The text in lines of at most so many columns.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(2);
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for c in text.chars() {
        if used + columns(c) > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        line.push(c);
        used += columns(c);
    }
    lines.push(line);
    lines
}

fn wide(text: &str) -> usize {
    text.chars().map(columns).sum()
}

fn age(model: &Model, since: Option<u64>) -> String {
    model.age(since).map_or_else(String::new, render::age)
}

fn proposals(bottle: &BottleRow) -> usize {
    bottle.asks.iter().filter(|ask| ask.asked == Asked::Proposed).count()
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn bytes(count: u64) -> String {
    render::size(count).replace("bytes", "B")
}

/// In at most five characters: `999`, `1.2k`, `345k`, `6.7M`.
fn tokens(count: u64) -> String {
    let mut unit = 1;
    for (next, letter) in [(1000, ' '), (1_000_000, 'k'), (1_000_000_000, 'M'), (1_000_000_000_000, 'G')] {
        if count < next {
            let (whole, tenth) = (count / unit, count % unit * 10 / unit);
            return match (letter, whole) {
                (' ', _) => count.to_string(),
                (_, ..10) => format!("{whole}.{tenth}{letter}"),
                _ => format!("{whole}{letter}"),
            };
        }
        unit = next;
    }
    ">999G".to_owned()
}

fn work(row: &BottleRow) -> String {
    match (&row.trouble, &row.why, &row.totals.work) {
        (Some(words), ..) | (None, Some(words), _) => one_line(words),
        (None, None, Some(work)) => render::work(work),
        (None, None, None) => String::new(),
    }
}

/// Everything as plain text, for a script: nothing is cut.
pub fn table(model: &Model) -> String {
    let mut text = String::new();
    let longest = model.bottles().iter().map(|bottle| bottle.identity.len()).max().unwrap_or(0);
    // What is longer is not cut, and has no column.
    let identity = longest.clamp("IDENTITY".len(), MAX_IDENTITY_COLUMNS);
    let row = |first: &str, cell: &dyn Fn(&Column) -> String| {
        let mut line = format!("{first:<identity$}");
        for column in &COLUMNS {
            let (text, width) = (cell(column), column.width);
            let _ = if column.is_number { write!(line, "  {text:>width$}") } else { write!(line, "  {text:<width$}") };
        }
        line.trim_end().to_owned() + "\n"
    };
    text.push_str(&row("IDENTITY", &|column| column.title.to_owned()));
    for bottle in model.bottles() {
        text.push_str(&row(&one_line(&bottle.identity), &|column| (column.text)(model, bottle)));
    }
    if model.asks().len() > 0 {
        text.push('\n');
    }
    for (bottle, ask) in model.asks() {
        let _ = writeln!(text, "{}", ask_line(bottle, ask));
    }
    text
}

/// One ask on a line of its own.
pub fn ask_line(bottle: &BottleRow, ask: &Ask) -> String {
    let word = match ask.asked {
        Asked::Proposed => "asks   ".to_owned(),
        Asked::Refused => format!("{:<7}", format!("{}x", ask.count)),
    };
    let (name, change) = (one_line(&bottle.identity), render::change_text(&ask.change));
    format!("{word} {name}/{}  {change}: {}", ask.id, one_line(&ask.reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_fit_their_column() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1.0k"),
            (9999, "9.9k"),
            (999_999, "999k"),
            (1_234_567, "1.2M"),
            (999_999_999_999, "999G"),
            (u64::MAX, ">999G"),
        ] {
            assert_eq!(tokens(count), text);
        }
    }
}
