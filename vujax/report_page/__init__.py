"""The parts of report.html, each a function from plain values to markup."""
