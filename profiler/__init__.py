"""How it is measured: experiments, campaigns, quality, commands."""
