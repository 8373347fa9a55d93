use plimsoll_core::Class;

use super::*;

fn settings() -> Settings<1> {
    Settings::new([Quota::per_second(10)]).expect("valid")
}

#[test]
fn the_end_of_a_request_matters_only_with_a_charge_or_a_refund() {
    assert!(!settings().uses_outcomes());
    let charging = settings();
    _ = charging.charge.set(Box::new(|_| 1));
    let refunding = settings();
    _ = refunding.refund.set(Box::new(|_| Refund::All));
    assert!(charging.uses_outcomes() && refunding.uses_outcomes());
}

#[test]
fn a_charge_or_a_refund_of_0_reads_no_cell() {
    let outcome = Outcome::new(Class::Success, Duration::ZERO, Instant::now());
    for units in [0, 3] {
        let settings = settings();
        _ = settings.charge.set(Box::new(move |_| units));
        _ = settings
            .refund
            .set(Box::new(move |_| Refund::Part(units as u32)));
        let token = Token {
            cost: 5,
            ..Token::nothing()
        };
        let due = settings.due(&outcome);
        let back = settings.refunded_of(&token, &outcome).map(|back| back.cost);
        let expected = (units > 0).then_some(units as u32);
        assert_eq!((due, back), (expected, expected));
    }
}

#[test]
fn a_request_that_took_nothing_is_not_asked_for_its_refund() {
    let settings = settings();
    _ = settings.refund.set(Box::new(|_| panic!("called")));
    let outcome = Outcome::new(Class::Success, Duration::ZERO, Instant::now());
    let back = settings.refunded_of(&Token::nothing(), &outcome);
    assert!(back.is_none());
}

#[test]
fn only_a_limit_with_a_name_is_reported() {
    let named = Quota::per_second(10).with_name("api").expect("valid");
    let named = Settings::new([named]).expect("valid");
    assert!(named.announces() && !settings().announces());
}
