"""What everything else stands on: errors, whole files, processes, tables, the device, what a script does."""
