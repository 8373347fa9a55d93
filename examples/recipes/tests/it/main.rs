//! Starts each recipe on a free port and checks what its head comment promises.

mod answers;
mod limits;
mod program;
