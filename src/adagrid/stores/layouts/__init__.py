"""The layouts of tables that come with adagrid: one per public module, named as it is."""
