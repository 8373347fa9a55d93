//! Compiler hints for policies and protocols that are passed to `.layer(..)`.
//!
//! Each policy and protocol has a conditional `Layer` impl. Its condition is a trait that no type
//! implements, and whose diagnostic names the cure. Without the impl, the compiler reports only
//! that the policy is not a `Layer`.
//!
//! `Router::layer` asks for `Clone` as well, and the compiler reports a missing `Clone` first. So a
//! type that is not `Clone` has a `Clone` impl with the same condition.

/// Never implemented. Carries the diagnostic for `.layer(policy)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is a policy, not a layer",
    label = "call `.into_layer()` on this policy",
    note = "a gate is the layer: `.layer(policy.into_layer())`, or with several policies `.layer(GateLayer::new((first, second)))`"
)]
pub trait WrappedInGateLayer<S> {}

/// Never implemented. Carries the diagnostic for `.layer(protocol)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is a protocol, not a layer",
    label = "pass this protocol to a gate: `GateLayer::builder(policy).protocol(..).build()`",
    note = "a gate is the layer: `.layer(GateLayer::builder(policy).protocol(protocol).build())`; with `()` as policy every request is admitted"
)]
pub trait PassedToGateLayer<S> {}

/// Gives a policy type the method `into_layer`, and makes the compiler name it for `.layer(policy)`.
///
/// Use it once per policy type. Without it, the compiler reports that the policy is not `Clone`. A
/// protocol gets no method.
///
/// | type | write |
/// |---|---|
/// | not generic | `not_a_layer!(OneAtATime);` |
/// | generic | `not_a_layer!([K, const N: usize] PerKey<K, N>);` |
/// | implements `Clone` | `not_a_layer!(clone [] Open);` |
/// | a protocol | `not_a_layer!(protocol [C] Custom<C>);` |
///
/// ```
/// struct OneAtATime;
/// plimsoll_core::not_a_layer!(OneAtATime);
///
/// struct PerKey<K, const N: usize>([K; N]);
/// plimsoll_core::not_a_layer!([K, const N: usize] PerKey<K, N>);
///
/// let _: plimsoll_core::GateLayer<OneAtATime> = OneAtATime.into_layer();
/// ```
#[macro_export]
macro_rules! not_a_layer {
    (@ $hint:ident [$($generics:tt)*] $type:ty) => {
        #[doc(hidden)]
        impl<Inner, $($generics)*> $crate::support::Layer<Inner> for $type
        where
            Self: $crate::support::$hint<Inner>,
        {
            type Service = Inner;

            fn layer(&self, inner: Inner) -> Inner {
                inner
            }
        }
    };
    (@clone $hint:ident [$($generics:tt)*] $type:ty) => {
        #[doc(hidden)]
        impl<$($generics)*> ::std::clone::Clone for $type
        where
            for<'never> Self: $crate::support::$hint<&'never ()>,
        {
            fn clone(&self) -> Self {
                ::std::unreachable!("no type implements this condition")
            }
        }
    };
    (@method into_layer [$($generics:tt)*] $policy:ty) => {
        impl<$($generics)*> $policy {
            /// Puts this policy in front of services: a layer that answers rejections as HTTP or
            /// gRPC.
            ///
            /// Equal to `GateLayer::new`. Services of one layer, and their clones, share the policy.
            /// For several policies, a tuple in one `GateLayer` is faster than a layer for each.
            #[allow(dead_code)] // A policy of a binary may be used in tuples only.
            pub fn into_layer(self) -> $crate::GateLayer<Self> {
                $crate::GateLayer::new(self)
            }
        }
    };
    (protocol [$($generics:tt)*] $protocol:ty) => {
        $crate::not_a_layer!(@ PassedToGateLayer [$($generics)*] $protocol);
    };
    (clone [$($generics:tt)*] $policy:ty) => {
        $crate::not_a_layer!(@method into_layer [$($generics)*] $policy);
        $crate::not_a_layer!(@ WrappedInGateLayer [$($generics)*] $policy);
    };
    ([$($generics:tt)*] $policy:ty) => {
        $crate::not_a_layer!(@method into_layer [$($generics)*] $policy);
        $crate::not_a_layer!(@ WrappedInGateLayer [$($generics)*] $policy);
        $crate::not_a_layer!(@clone WrappedInGateLayer [$($generics)*] $policy);
    };
    ($policy:ty) => {
        $crate::not_a_layer!([] $policy);
    };
}

// Pointers, `Option` and tuples have no hint and no method of their own: `Layer` and these types
// are foreign. A tuple of policies shows the hint of its policies, since tower implements `Layer`
// for tuples.
crate::not_a_layer!(clone [A, B] crate::Then<A, B>);
crate::not_a_layer!([K, P] crate::Keyed<K, P>);
crate::not_a_layer!([P, K] crate::Shadow<P, K>);
crate::not_a_layer!(clone [F, P] crate::When<F, P>);
crate::not_a_layer!(clone [F, P] crate::Choose<F, P>);
crate::not_a_layer!([K] crate::ByHeader<K>);
crate::not_a_layer!(crate::Deadlines);
crate::not_a_layer!(protocol [C] crate::Http<C>);
crate::not_a_layer!(protocol [C] crate::Plain<C>);
