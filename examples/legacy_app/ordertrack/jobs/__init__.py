"""Work that no request waits for, started by cron through the command line."""
