mod histories;
mod tables;
