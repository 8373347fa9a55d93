/// The mistakes, law by law.
const BREACHES: &[Breach] = &[
    Breach {
        law: "02",
        what: "a dropped permit is forgotten",
        file: "crates/plimsoll-core/src/gate/held.rs",
        find: "if self.permit.is_some() {",
        replace: "if false {",
        package: "plimsoll-core",
        test: "law_02_every_permit_ends_exactly_once",
    },
];
