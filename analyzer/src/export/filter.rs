//! Which part of recordings is exported.

use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{Expr, col, lit};

/// Which events and processes are asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of processes with this pid.
    pub pid: Option<i32>,
    /// Only stack events of this kind.
    pub event: Option<String>,
    /// Only at these times; at all if there is none.
    pub spans: Vec<Span>,
}

/// A time of one boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The boot.
    pub boot_id: String,
    /// Begin, nanoseconds of CLOCK_BOOTTIME.
    pub from_ns: i64,
    /// End, not included.
    pub to_ns: i64,
}

impl Filter {
    /// As a condition on rows of `sample`; `None` lets all through.
    #[must_use]
    pub fn events(&self) -> Option<Expr> {
        let is_event = |event: &String| col("event").eq(lit(event.as_str()));
        let event = self.event.as_ref().map(is_event);
        let during = self.during(|span| {
            let since = col("ts_ns").gt_eq(lit(span.from_ns));
            since.and(col("ts_ns").lt(lit(span.to_ns)))
        });
        conjunction([self.of_pid(), event, during].into_iter().flatten())
    }

    /// As a condition on rows of `process`: those that lived then.
    #[must_use]
    pub fn lives(&self) -> Option<Expr> {
        let during = self.during(|span| {
            let began = col("start_ns").lt(lit(span.to_ns));
            let ended = col("end_ns")
                .is_null()
                .or(col("end_ns").gt_eq(lit(span.from_ns)));
            began.and(ended)
        });
        conjunction([self.of_pid(), during].into_iter().flatten())
    }

    fn of_pid(&self) -> Option<Expr> {
        self.pid.map(|pid| col("pid").eq(lit(pid)))
    }

    fn during(&self, within: impl Fn(&Span) -> Expr) -> Option<Expr> {
        let spans = self.spans.iter();
        disjunction(spans.map(|s| col("boot_id").eq(lit(s.boot_id.as_str())).and(within(s))))
    }
}
