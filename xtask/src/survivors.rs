/// Mutants that no test can or should kill. A mutant is named as cargo-mutants names it, without line and column.
const SURVIVORS: &[Survivor] = &[];
