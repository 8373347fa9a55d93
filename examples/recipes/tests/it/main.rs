//! Starts each recipe on a free port and checks what its head comment promises.

mod answers;
mod clients;
mod index;
mod limits;
mod operations;
mod program;
