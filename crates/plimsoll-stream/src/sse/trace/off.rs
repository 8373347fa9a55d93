//! Nothing, in no bytes.

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Origin {}

impl Origin {
    pub(crate) const fn now(_: bool) -> Self {
        Self {}
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Name {}

#[derive(Debug, Default)]
pub(crate) struct Batch {}

impl Batch {
    pub(crate) const fn add(&mut self, _: u64, _: Origin) {}
    pub(crate) const fn written(&self, _: &Name) {}
    pub(crate) const fn acknowledged(self, _: &Name) {}
}

#[derive(Debug)]
pub(crate) struct Delivery {}

impl Delivery {
    pub(crate) const fn open(_: &Name, _: u64, _: Origin) -> Self {
        Self {}
    }
}

#[derive(Debug, Default)]
pub(crate) struct Unacknowledged {}

impl Unacknowledged {
    pub(crate) const fn sent(&mut self, _: u64, _: Delivery) {}

    pub(crate) const fn take(&mut self, _: u64) -> Batch {
        Batch {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn law_12_without_the_feature_no_memory_is_used() {
        assert_eq!(
            size_of::<(Origin, Name, Batch, Delivery, Unacknowledged)>(),
            0
        );
    }
}
