//! A live view of a running program's cache. The program offers it through a file: c-examples/stats_file.h.

mod file;
mod screen;

use crate::Result;
use clap::Args;
use file::Sample;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use screen::View;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A frame for a pipe.
const ONCE_SIZE: (u16, u16) = (100, 28);

#[derive(Args)]
pub(crate) struct TopArguments {
    /// The file that the program maps: see c-examples/stats_file.h
    file: PathBuf,
    /// Print one frame, and end
    #[arg(long)]
    once: bool,
    /// Milliseconds between two looks
    #[arg(long, value_name = "MS", default_value = "1000", value_parser = clap::value_parser!(u64).range(10..=60_000))]
    interval: u64,
}

pub(crate) fn show(arguments: &TopArguments) -> Result<()> {
    let interval = Duration::from_millis(arguments.interval);
    let mut view = View::new(&arguments.file, Sample::read(&arguments.file)?);
    if arguments.once {
        std::thread::sleep(interval);
        view.add(Sample::read(&arguments.file)?);
        print!("{}", frame(&view)?);
        return Ok(());
    }
    if !io::stdout().is_terminal() {
        return Err("the output is no terminal; --once prints one frame".into());
    }
    let mut terminal = ratatui::try_init()?;
    let ended = run(&mut terminal, &mut view, arguments, interval);
    ratatui::restore();
    ended
}

fn run(
    terminal: &mut ratatui::DefaultTerminal,
    view: &mut View,
    arguments: &TopArguments,
    interval: Duration,
) -> Result<()> {
    loop {
        terminal.draw(|frame| screen::draw(frame, view))?;
        if is_ended_within(interval)? {
            return Ok(());
        }
        view.add(Sample::read(&arguments.file)?);
    }
}

/// Waits; whether the reader has ended the program meanwhile.
fn is_ended_within(interval: Duration) -> Result<bool> {
    let started = Instant::now();
    while let Some(left) = interval.checked_sub(started.elapsed()) {
        if !event::poll(left)? {
            return Ok(false);
        }
        if let Event::Key(key) = event::read()? {
            let control = key.modifiers.contains(KeyModifiers::CONTROL);
            match key.code {
                KeyCode::Char('q') | KeyCode::Esc => return Ok(true),
                KeyCode::Char('c') if control => return Ok(true),
                _ => {}
            }
        }
    }
    Ok(false)
}

/// One frame as text.
fn frame(view: &View) -> Result<String> {
    let mut terminal = Terminal::new(TestBackend::new(ONCE_SIZE.0, ONCE_SIZE.1))?;
    terminal.draw(|frame| screen::draw(frame, view))?;
    Ok(text_of(terminal.backend().buffer()))
}

fn text_of(buffer: &Buffer) -> String {
    let rows = buffer.content().chunks(buffer.area.width.into());
    rows.fold(String::new(), |text, row| {
        let line: String = row.iter().map(|cell| cell.symbol()).collect();
        text + line.trim_end() + "\n"
    })
}

#[cfg(test)]
mod tests;
