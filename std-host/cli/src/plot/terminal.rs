//! Curves as text.

use console::{Alignment, measure_text_width, pad_str};

use super::chart::{Chart, plain};
use super::scale::Scale;

/// Lines of the drawing itself.
const ROWS: usize = 16;
/// Numbers beside the drawing; one below it per so many columns.
const Y_TICKS: usize = 8;
const COLUMNS_PER_TICK: usize = 10;
/// The narrowest drawing.
const NARROWEST: usize = 20;
/// The widest drawing: beyond it points lie too far apart.
const WIDEST: usize = 120;
/// Series by marker.
const MARKERS: [char; 8] = ['●', '▲', '×', '■', '◆', '○', '△', '+'];
/// Where several series have a point.
const SEVERAL: char = '#';
const LINE: char = '·';

/// A character per cell, from the top left.
struct Grid {
    columns: usize,
    cells: Vec<Option<char>>,
}

impl Grid {
    fn cell(&mut self, column: usize, row: usize) -> Option<&mut Option<char>> {
        self.cells.get_mut(row * self.columns + column)
    }

    /// Dots between two cells, where nothing is yet.
    fn connect(&mut self, (column, row): (usize, usize), (to_column, to_row): (usize, usize)) {
        let steps = column.abs_diff(to_column).max(row.abs_diff(to_row));
        let between = |from: usize, to: usize, step: usize| {
            (from * (steps - step) + to * step + steps / 2) / steps
        };
        for step in 1..steps {
            if let Some(cell) =
                self.cell(between(column, to_column, step), between(row, to_row, step))
            {
                cell.get_or_insert(LINE);
            }
        }
    }

    fn mark(&mut self, (column, row): (usize, usize), marker: char) {
        if let Some(cell) = self.cell(column, row) {
            *cell = Some(match *cell {
                Some(there) if there != LINE && there != marker => SEVERAL,
                _ => marker,
            });
        }
    }
}

fn marker(index: usize) -> char {
    MARKERS.get(index % MARKERS.len()).copied().unwrap_or(SEVERAL)
}

pub fn curves(chart: &Chart, width: usize) -> String {
    let (x, y) = Scale::both(chart);
    let y_ticks: Vec<(usize, String)> = y
        .ticks(Y_TICKS)
        .iter()
        .map(|&tick| (ROWS - 1 - y.cell(tick, ROWS), y.number(tick)))
        .collect();
    let label_width = y_ticks.iter().map(|(_, text)| text.len()).max().unwrap_or(0);
    let columns = width.saturating_sub(label_width + 2).clamp(NARROWEST, WIDEST);
    let mut grid = Grid { columns, cells: vec![None; columns * ROWS] };
    let curves: Vec<Vec<(usize, usize)>> = chart
        .series
        .iter()
        .map(|series| {
            series
                .drawable()
                .map(|point| (x.cell(point.0, columns), ROWS - 1 - y.cell(point.1, ROWS)))
                .collect()
        })
        .collect();
    for pair in curves.iter().flat_map(|curve| curve.windows(2)) {
        if let [from, to] = *pair {
            grid.connect(from, to);
        }
    }
    for (index, curve) in curves.iter().enumerate() {
        curve.iter().for_each(|&point| grid.mark(point, marker(index)));
    }

    let mut text = format!("{}\n", plain(&chart.title));
    line(&mut text, &plain(&chart.y_label));
    for (row, cells) in grid.cells.chunks(columns).enumerate() {
        let tick = y_ticks.iter().find(|(at, _)| *at == row);
        let label = pad_str(tick.map_or("", |(_, text)| text), label_width, Alignment::Right, None)
            .into_owned();
        let drawn: String = cells.iter().map(|cell| cell.unwrap_or(' ')).collect();
        line(&mut text, &format!("{label} {}{drawn}", if tick.is_some() { '┤' } else { '│' }));
    }
    below(&mut text, &x, columns, label_width + 1);
    line(
        &mut text,
        &pad_str(&plain(&chart.x_label), label_width + 2 + columns, Alignment::Center, None),
    );
    let mut names: Vec<String> = chart
        .series
        .iter()
        .enumerate()
        .map(|(index, series)| format!("{} {}", marker(index), plain(&series.name)))
        .collect();
    if grid.cells.contains(&Some(SEVERAL)) {
        names.push(format!("{SEVERAL} several"));
    }
    legend(&mut text, &names, width.max(NARROWEST));
    text
}

/// The axis below the drawing, and its numbers.
fn below(text: &mut String, x: &Scale, columns: usize, indent: usize) {
    let ticks: Vec<(usize, String)> = x
        .ticks((columns / COLUMNS_PER_TICK).max(2))
        .iter()
        .map(|&tick| (x.cell(tick, columns), x.number(tick)))
        .collect();
    let axis: String = (0..columns)
        .map(|column| if ticks.iter().any(|(at, _)| *at == column) { '┬' } else { '─' })
        .collect();
    line(text, &format!("{}└{axis}", " ".repeat(indent)));
    let mut numbers = String::new();
    for (at, number) in ticks {
        // In the middle below its tick, with a gap to the one before, and not beyond the end.
        let start = (indent + 1 + at)
            .saturating_sub(number.len() / 2)
            .min((indent + 1 + columns).saturating_sub(number.len()));
        if numbers.is_empty() || start > numbers.len() {
            numbers.push_str(&" ".repeat(start.saturating_sub(numbers.len())));
            numbers.push_str(&number);
        }
    }
    line(text, &numbers);
}

/// Names side by side while there is room.
fn legend(text: &mut String, names: &[String], width: usize) {
    let mut row = String::new();
    for name in names {
        if !row.is_empty() && measure_text_width(&row) + 4 + measure_text_width(name) > width {
            line(text, &row);
            row.clear();
        }
        row.push_str(if row.is_empty() { "  " } else { "    " });
        row.push_str(name);
    }
    if !row.is_empty() {
        line(text, &row);
    }
}

fn line(text: &mut String, content: &str) {
    text.push_str(content.trim_end());
    text.push('\n');
}
