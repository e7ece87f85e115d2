"""What records hold: profiles of files, a starter schema, findings against a schema, drift."""
