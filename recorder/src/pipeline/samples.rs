//! From stack events to rows: CPU samples, hits of probes, waits.

use whence_schemas::{line, sample};

use super::{NamedEvent, Pipeline, parent_upid, upid};
use crate::context;
use crate::decode::{Sample, Stack, comm};
use crate::entry::Origin;
use crate::loss::{PROBE, SAMPLE, WAIT};

impl Pipeline {
    /// Who ended a wait; nothing is known of it if the event is none.
    fn waker(&mut self, event: &Sample<'_>) -> Waker {
        let Some(wait) = &event.wait else {
            return Waker::default();
        };
        let stack: Vec<u8> = wait
            .waker_stack
            .iter()
            .flat_map(|a| a.to_ne_bytes())
            .collect();
        let ts_ns = event.wire.header.ts_ns.cast_signed();
        let Some(path) = self.stacks.kernel(Stack(&stack), Origin::Called, ts_ns) else {
            return Waker::default();
        };
        let context = context::of(path.interrupt, false, wait.waker.pid);
        // In an interrupt, whoever ran had nothing to do with it.
        let by_task = context == "task";
        Waker {
            upid: by_task.then(|| upid(&wait.waker)),
            tid: by_task.then_some(wait.waker.tid.cast_signed()),
            context: Some(context),
            stack_id: Some(path.stack_id),
        }
    }

    pub(super) fn sample(&mut self, event: &Sample<'_>) {
        let wire = &event.wire;
        let Some(NamedEvent { name, id }) = self.events.get(wire.event as usize).cloned() else {
            return;
        };
        let stream = stream_of(event);
        if self.valve.withholds(stream) {
            return;
        }
        let ts_ns = wire.header.ts_ns.cast_signed();
        let kernel = self.stacks.kernel(event.kernel_stack, event.origin, ts_ns);
        let interrupt = kernel.and_then(|path| path.interrupt);
        let context = context::of(interrupt, event.in_guest(), wire.process.pid);
        // What interrupts it is not its own.
        if context == "task" && self.own_pid == Some(wire.process.pid) {
            self.received[stream] += 1;
            return;
        }
        self.received(stream);
        let thread = comm(&wire.comm);
        // Threads have names of their own.
        let is_leader = wire.process.tid == wire.process.pid;
        self.processes
            .see(&wire.process, is_leader.then_some(&thread));
        let user_stack_id = event.user_stack.leaf().and_then(|_| {
            let owner = self.owner(&wire.process);
            self.stacks.user(&event.user_stack, &owner, ts_ns)
        });
        let waker = self.waker(event);
        if event.is_hit() {
            self.triggers.hit(&name);
            let wall_us = self.clock.wall_us(ts_ns);
            self.printer.print(|| {
                line::Hit {
                    wall_us,
                    pid: wire.process.pid.cast_signed(),
                    comm: &thread,
                    cpu: wire.header.cpu.cast_signed(),
                    event: &name,
                    context,
                }
                .line()
            });
        }
        self.sink.sample.rows.push(sample::Row {
            ts_ns,
            event_id: id,
            upid: parent_upid(&wire.process),
            pid: wire.process.pid.cast_signed(),
            tid: wire.process.tid.cast_signed(),
            cpu: wire.header.cpu.cast_signed(),
            comm: &thread,
            event: &name,
            context,
            weight: wire.weight.cast_signed(),
            dur_ns: event.wait.as_ref().map(|_| wire.weight.cast_signed()),
            kernel_stack_id: kernel.map(|path| path.stack_id),
            user_stack_id,
            waker_upid: waker.upid,
            waker_tid: waker.tid,
            waker_context: waker.context,
            waker_stack_id: waker.stack_id,
        });
    }
}

/// Who ended a wait.
#[derive(Default)]
struct Waker {
    upid: Option<i64>,
    tid: Option<i32>,
    context: Option<&'static str>,
    stack_id: Option<i64>,
}

/// Number of the stream that an event is of.
fn stream_of(event: &Sample<'_>) -> usize {
    match (event.wire.event, &event.wait) {
        (_, Some(_)) => WAIT,
        (0, _) => SAMPLE,
        _ => PROBE,
    }
}
