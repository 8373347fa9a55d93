//! The retry budget: what may be sent in addition to the requests of the caller.

mod bank;
mod grpc;
mod looks;
#[cfg(all(test, loom))]
mod models;
mod recent;
mod unit;

use std::{fmt, sync::Arc, time::Duration};

use plimsoll_core::policy::Counter;
use tokio::time::Instant;

use self::{bank::Bank, grpc::Tokens, recent::Recent, unit::RETRY};
use crate::InvalidBudget;

/// The default share of retries: one for ten successes, as gRPC's default token ratio.
const RATIO: f64 = 0.1;
/// The default bank, in retries. Ten, so that one bad second of a client costs ten extra requests
/// at most. `a_full_failure_is_amplified_by_the_bank_only` fails when the bank is not bounded.
const BANK: u32 = 10;

/// Limits retries and hedges together. Suppresses them when it is spent, and never fails a call.
///
/// | constructor | a retry is paid by | use |
/// |---|---|---|
/// | [`successes`](Self::successes) | successful calls | the default: a callee that answers nothing gets no retries |
/// | [`recent`](Self::recent) | successful calls of the last seconds, with a minimum | few calls, where a bank would stay empty after a failure |
/// | [`grpc`](Self::grpc) | successful calls, minus failed ones | the same rule as other gRPC clients (gRFC A6) |
/// | [`share_of_requests`](Self::share_of_requests) | requests, as in Finagle, Linkerd and tower | compatibility only |
///
/// A budget of requests does not end a metastable failure: while all calls fail, it still adds its
/// share to the load that keeps them failing. A budget of successes falls to zero.
///
/// # Shared state and cloning
///
/// Clones share the budget. Give one budget to the [`RetryLayer`](crate::RetryLayer) and the
/// [`HedgeLayer`](crate::HedgeLayer) of a callee.
///
/// # Exactness
///
/// Amounts are integers in millionths of a retry. Deposits and withdrawals are atomic, and what is
/// withdrawn is never more than what was deposited, with any number of threads. A withdrawal that
/// races with others for the last retry may be denied. A [`Withdrawal`] that is dropped before its
/// attempt was sent is returned.
///
/// The bank has a part for each processor. While several threads are at work, each looks seldom at
/// the parts of the others: a success may then pay nothing while each part is above its half, and a
/// failure may be denied while no part holds two retries.
///
/// ```
/// use plimsoll_client::RetryBudget;
/// use tokio::time::Instant;
///
/// let budget = RetryBudget::successes(0.1, 1)?; // one retry for ten successes, one in the bank
/// let now = Instant::now();
/// budget.failure(now).expect("the bank is full at the start").spend();
/// assert!(budget.failure(now).is_none());
/// for _ in 0..10 {
///     budget.success(now);
/// }
/// assert!(budget.failure(now).is_some());
/// # Ok::<(), plimsoll_client::InvalidBudget>(())
/// ```
#[doc(alias("amplification", "metastable", "throttle", "TpsBudget"))]
#[derive(Clone)]
pub struct RetryBudget(Arc<Inner>);

/// On its own cache lines: the count of clones is beside it, and written more often.
#[repr(align(128))]
struct Inner {
    form: Form,
    spent: Counter,
    denied: Counter,
}

enum Form {
    Successes { bank: Bank, ratio: u64 },
    Requests { bank: Bank, ratio: u64 },
    Recent(Box<Recent>),
    Grpc(Tokens),
}

/// The permission for one retry or hedge, taken from a [`RetryBudget`].
///
/// Dropping it returns the permission to the budget; [`spend`](Self::spend) does not.
#[must_use = "a withdrawal that is dropped is returned to the budget"]
#[derive(Debug)]
pub struct Withdrawal<'a> {
    // Performance: a reference, since a clone of the budget writes to a count that all threads read.
    budget: &'a RetryBudget,
    taken: Option<Taken>,
}

/// A retry that was taken, for futures, which return it to the budget themselves.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The period of a [`Recent`] budget in which it was taken.
    period: u64,
}

impl RetryBudget {
    /// Each success pays for `ratio` retries. At most `bank` retries are kept, and the bank is full
    /// at the start.
    ///
    /// The bank is what a burst of failures can spend. It cannot grow beyond that, however long all
    /// calls succeed.
    ///
    /// # Errors
    ///
    /// When `ratio` is not in 0.0001 to 1, or `bank` is not in 1 to 1,000,000.
    pub fn successes(ratio: f64, bank: u32) -> Result<Self, InvalidBudget> {
        let (ratio, bank) = checked(ratio, bank)?;
        Ok(Self::of(Form::Successes { bank, ratio }))
    }

    /// Each request pays for `ratio` retries, whether it succeeds or not. At most `bank` retries are
    /// kept, and the bank is full at the start.
    ///
    /// Prefer [`successes`](Self::successes): this form keeps a metastable failure alive.
    ///
    /// # Errors
    ///
    /// As [`successes`](Self::successes).
    pub fn share_of_requests(ratio: f64, bank: u32) -> Result<Self, InvalidBudget> {
        let (ratio, bank) = checked(ratio, bank)?;
        Ok(Self::of(Form::Requests { bank, ratio }))
    }

    /// At most `ratio` retries for each success of the last `window`, and `at_least` in any case.
    ///
    /// For callees with few calls. The window moves in tenths of itself. A retry takes a short lock;
    /// a success does not.
    ///
    /// # Errors
    ///
    /// When `ratio` is not in 0.0001 to 1, `at_least` is above 1,000,000, or `window` is not in 1
    /// second to 1 hour.
    pub fn recent(ratio: f64, at_least: u32, window: Duration) -> Result<Self, InvalidBudget> {
        let (ratio, _) = checked(ratio, 1)?;
        if at_least > MOST {
            return Err(InvalidBudget::AtLeast(at_least));
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&window) {
            return Err(InvalidBudget::Window(window));
        }
        Ok(Self::of(Form::Recent(Box::new(Recent::new(
            ratio, at_least, window,
        )))))
    }

    /// The retry throttling of gRPC (gRFC A6): `max_tokens` at the start, one fewer for each failure,
    /// `token_ratio` more for each success. Retries are sent while more than half of the tokens are
    /// there.
    ///
    /// Decimals of the ratio after the third are ignored, as the gRFC requires.
    ///
    /// # Errors
    ///
    /// When `max_tokens` is not in 1 to 1,000, or `token_ratio` is not in 0.001 to 1,000.
    pub fn grpc(max_tokens: u32, token_ratio: f64) -> Result<Self, InvalidBudget> {
        if !(1..=1000).contains(&max_tokens) {
            return Err(InvalidBudget::MaxTokens(max_tokens));
        }
        let Some(tokens) = Tokens::new(max_tokens, token_ratio) else {
            return Err(InvalidBudget::TokenRatio(token_ratio));
        };
        Ok(Self::of(Form::Grpc(tokens)))
    }

    fn of(form: Form) -> Self {
        Self(Arc::new(Inner {
            form,
            spent: Counter::new(),
            denied: Counter::new(),
        }))
    }

    /// Counts a request of the caller. To be called once per call, before its first attempt.
    pub fn request(&self, now: Instant) {
        _ = now;
        self.on_request();
    }

    /// Counts a call that succeeded.
    pub fn success(&self, now: Instant) {
        self.on_success(|| now);
    }

    /// Counts an attempt that failed in a way that may be retried, and takes one retry. `None` when
    /// the budget is spent.
    pub fn failure(&self, now: Instant) -> Option<Withdrawal<'_>> {
        self.withdrawal(self.take_failure(now))
    }

    pub(crate) fn take_failure(&self, now: Instant) -> Option<Taken> {
        if let Form::Grpc(tokens) = &self.0.form {
            return self.counted(tokens.failure().then_some(0));
        }
        self.take(now)
    }

    /// Counts an attempt that failed and will not be retried, for reasons other than the budget.
    pub fn failure_without_retry(&self) {
        if let Form::Grpc(tokens) = &self.0.form {
            tokens.failure();
        }
    }

    /// Takes one hedge, without a failure. `None` when the budget is spent.
    pub fn hedge(&self, now: Instant) -> Option<Withdrawal<'_>> {
        self.withdrawal(self.take(now))
    }

    fn withdrawal(&self, taken: Option<Taken>) -> Option<Withdrawal<'_>> {
        taken.is_some().then_some(Withdrawal {
            budget: self,
            taken,
        })
    }

    /// Returns how many retries and hedges were taken, those included that were returned since.
    pub fn taken(&self) -> u64 {
        self.0.spent.get()
    }

    /// Returns how many retries and hedges were suppressed because the budget was spent.
    pub fn suppressed(&self) -> u64 {
        self.0.denied.get()
    }

    /// Returns how many retries the budget would allow at `now`.
    pub fn available(&self, now: Instant) -> f64 {
        match &self.0.form {
            Form::Successes { bank, .. } | Form::Requests { bank, .. } => {
                bank.tokens() as f64 / RETRY as f64
            }
            Form::Recent(recent) => recent.available(now) as f64 / RETRY as f64,
            Form::Grpc(tokens) => tokens.available(),
        }
    }

    /// Whether a request changes the budget.
    pub(crate) fn counts_requests(&self) -> bool {
        matches!(self.0.form, Form::Requests { .. })
    }

    #[inline]
    pub(crate) fn on_request(&self) {
        if let Form::Requests { bank, ratio } = &self.0.form {
            bank.deposit(*ratio);
        }
    }

    /// Reads the clock only if the form needs it.
    #[inline]
    pub(crate) fn on_success(&self, now: impl FnOnce() -> Instant) {
        match &self.0.form {
            // Performance: a full bank is the usual case, and is only read (`instructions`,
            // `retry@accept`).
            Form::Successes { bank, .. } if bank.is_full() => {}
            other => other.success(now),
        }
    }

    pub(crate) fn take(&self, now: Instant) -> Option<Taken> {
        let taken = match &self.0.form {
            Form::Successes { bank, .. } | Form::Requests { bank, .. } => {
                bank.withdraw().then_some(0)
            }
            Form::Recent(recent) => recent.take(now),
            Form::Grpc(tokens) => tokens.allow().then_some(0),
        };
        self.counted(taken)
    }

    fn counted(&self, period: Option<u64>) -> Option<Taken> {
        if period.is_some() {
            self.0.spent.add();
        } else {
            self.0.denied.add();
        }
        period.map(|period| Taken { period })
    }

    /// Returns a retry that was not sent.
    #[cold]
    pub(crate) fn put_back(&self, Taken { period }: Taken) {
        match &self.0.form {
            Form::Successes { bank, .. } | Form::Requests { bank, .. } => bank.put_back(),
            Form::Recent(recent) => recent.put_back(period),
            // The failure stays counted, whether its retry is sent or not.
            Form::Grpc(_) => {}
        }
    }
}

impl Form {
    #[inline(never)]
    fn success(&self, now: impl FnOnce() -> Instant) {
        match self {
            Self::Successes { bank, ratio } => bank.deposit(*ratio),
            Self::Requests { .. } => {}
            Self::Recent(recent) => recent.success(now()),
            Self::Grpc(tokens) => tokens.success(),
        }
    }
}

/// The largest bank, in retries.
const MOST: u32 = 1_000_000;

fn checked(ratio: f64, bank: u32) -> Result<(u64, Bank), InvalidBudget> {
    if !(0.0001..=1.0).contains(&ratio) {
        return Err(InvalidBudget::Ratio(ratio));
    }
    if !(1..=MOST).contains(&bank) {
        return Err(InvalidBudget::Bank(bank));
    }
    Ok(((ratio * RETRY as f64).round() as u64, Bank::full(bank)))
}

impl Withdrawal<'_> {
    /// Ends the withdrawal: its attempt is sent.
    pub fn spend(mut self) {
        self.taken = None;
    }
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            self.budget.put_back(taken);
        }
    }
}

impl Default for RetryBudget {
    /// One retry for ten successes, ten in the bank.
    fn default() -> Self {
        let bank = Bank::full(BANK);
        let ratio = (RATIO * RETRY as f64) as u64;
        Self::of(Form::Successes { bank, ratio })
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self.0.form {
            Form::Successes { .. } => "successes",
            Form::Requests { .. } => "share of requests",
            Form::Recent(_) => "recent",
            Form::Grpc(_) => "gRPC",
        };
        f.debug_struct("RetryBudget")
            .field("form", &form)
            .field("taken", &self.taken())
            .field("suppressed", &self.suppressed())
            .finish()
    }
}
