mod histories;
mod model;
mod tables;
mod time;
