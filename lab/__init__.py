"""The rehearsal region: an AWS region on this machine, with real Linux hosts behind its API."""
