//! The two logs of a shard.

#![forbid(unsafe_code)]

use crate::log::Log;
use crate::page::{Owner, Page};

/// The window's log and main's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Logs {
    pub(crate) window: Log,
    pub(crate) main: Log,
}

impl Logs {
    pub(crate) fn new() -> Self {
        Self {
            window: Log::new(Owner::Window),
            main: Log::new(Owner::Main),
        }
    }

    #[inline]
    pub(crate) fn of(&mut self, owner: Owner) -> &mut Log {
        if owner == Owner::Window {
            &mut self.window
        } else {
            &mut self.main
        }
    }

    /// Granules in which something lives.
    #[inline]
    pub(crate) fn live(&self) -> u32 {
        self.window.live + self.main.live
    }

    pub(crate) fn is_head(&self, page: Page) -> bool {
        self.window.is_head(page) || self.main.is_head(page)
    }

    pub(crate) fn is_tail(&self, page: Page) -> bool {
        self.window.is_tail(page) || self.main.is_tail(page)
    }
}
