//! What a session gives up once it records, and when it ends.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Session, Stop};
use crate::command::Command;
use crate::{host, privilege};

/// How long a command that was asked to end is waited for.
const GRACE: Duration = Duration::from_secs(5);

impl Session {
    /// Gives up what is not needed once all is attached.
    pub(super) fn confine(&mut self) {
        let sampled_later = self.plan.counter.is_some() && host::has_offline_cpus();
        let old = host::version(&self.manifest.kernel.release) < (5, 19);
        let dropped = privilege::drop_capabilities(privilege::kept(sampled_later, old));
        let refused = privilege::refuse_system_calls();
        if let Err(e) = dropped {
            let note = format!("the recorder kept its capabilities: {e}");
            self.manifest.notes.push(note);
        }
        if let Err(e) = refused {
            let note = format!("the recorder ran without a filter of system calls: {e}");
            self.manifest.notes.push(note);
        }
    }

    /// Whether the recording ends now. A command is asked to end first, so that
    /// its end is recorded: when the time is over, by SIGTERM, and by a second
    /// SIGINT. The first one, from a terminal, it got itself. Who reads what is
    /// printed ends a recording, but not a command.
    pub(super) fn is_over(
        &mut self,
        stop: &Stop,
        over: bool,
        command: Option<&mut Command>,
    ) -> bool {
        let terminated = stop.terminate.load(Ordering::Relaxed);
        if stop.interrupt.swap(false, Ordering::Relaxed) {
            self.interrupts += 1;
        }
        let Some(command) = command else {
            return over || terminated || self.interrupts > 0 || self.pipeline.print_closed();
        };
        if command.status().is_some() {
            return true;
        }
        (over || terminated || self.interrupts > 1) && command.terminate() > GRACE
    }
}
