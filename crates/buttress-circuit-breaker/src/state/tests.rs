mod histories;
mod tables;
mod time;
