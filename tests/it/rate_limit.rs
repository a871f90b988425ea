//! Rate limits: what was promised of each algorithm, how limits go with the other layers, calls that wait in line, and calls that
//! go out.

mod behaviours;
mod bounds;
mod client;
mod hammer;
mod pairs;
mod polls;
mod unpolled;
