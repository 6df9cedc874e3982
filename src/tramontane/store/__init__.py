"""SQL: tables, migrations, the group commit and every query, with what differs between databases
in one small module each. Nothing here decides anything about workflows."""
