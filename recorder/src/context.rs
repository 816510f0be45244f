//! In which context kernel code ran, told from its call path.
//!
//! From the leaf outward, the first function that only one context enters
//! decides: a softirq that runs at the end of an interrupt has both the softirq
//! and the interrupt's entry on its path, in this order.

/// Entry functions by context. Sources: `arch/x86/entry/entry_64.S` and
/// `arch/x86/include/asm/idtentry.h`, `arch/arm64/kernel/entry-common.c`,
/// `kernel/softirq.c`.
const SOFTIRQ: [&str; 4] = [
    "handle_softirqs",
    "__do_softirq",
    "__softirqentry_text_start",
    "run_ksoftirqd",
];
const HARDIRQ: [&str; 8] = [
    "common_interrupt",
    "asm_common_interrupt",
    "__handle_irq_event_percpu",
    "handle_irq_event",
    "el1_interrupt",
    "el0_interrupt",
    "el1h_64_irq",
    "el0t_64_irq",
];
const NMI: [&str; 4] = ["default_do_nmi", "exc_nmi", "asm_exc_nmi", "nmi_handle"];

/// The context that a kernel call path shows, leaf first: `softirq`, `hardirq`
/// or `nmi`; `None` if nothing on it interrupts a task.
#[must_use]
pub fn interrupt<'a>(functions: impl IntoIterator<Item = &'a str>) -> Option<&'static str> {
    functions.into_iter().find_map(|function| {
        if SOFTIRQ.contains(&function) {
            Some("softirq")
        } else if HARDIRQ.contains(&function) || is_vector(function) {
            Some("hardirq")
        } else if NMI.contains(&function) {
            Some("nmi")
        } else {
            None
        }
    })
}

/// Handlers of the interrupt controller's own vectors on x86, as
/// `sysvec_apic_timer_interrupt`.
fn is_vector(function: &str) -> bool {
    ["sysvec_", "asm_sysvec_", "__sysvec_"]
        .iter()
        .any(|prefix| function.starts_with(prefix))
}

/// The context of an event: what its path shows, or else whether the CPU ran a
/// virtual machine or the idle task (pid 0).
#[must_use]
pub fn of(interrupt: Option<&'static str>, in_guest: bool, pid: u32) -> &'static str {
    match (interrupt, pid) {
        // What interrupts a virtual machine is not the interrupt's doing.
        _ if in_guest => "guest",
        (Some(context), _) => context,
        (None, 0) => "idle",
        (None, _) => "task",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_entry_decides() {
        let path = [
            "blk_mq_complete_request",
            "handle_softirqs",
            "__irq_exit_rcu",
            "sysvec_apic_timer_interrupt",
            "asm_sysvec_apic_timer_interrupt",
            "do_idle",
        ];
        assert_eq!(interrupt(path), Some("softirq"));
        assert_eq!(
            interrupt(["vring_interrupt", "handle_irq_event"]),
            Some("hardirq")
        );
        assert_eq!(interrupt(["vfs_read", "do_syscall_64"]), None);
    }

    #[test]
    fn without_an_interrupt_the_idle_task_is_idle() {
        assert_eq!(of(None, false, 0), "idle");
        assert_eq!(of(None, false, 7), "task");
        assert_eq!(of(Some("hardirq"), false, 0), "hardirq");
        assert_eq!(of(None, true, 7), "guest");
    }
}
