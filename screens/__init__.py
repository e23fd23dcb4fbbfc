"""The Textual front end: asks wizard/ and draws."""
