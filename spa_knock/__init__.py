"""The knock: wire format, vendor client, guard and opener. Imports neither `broker` nor `recorder`."""
