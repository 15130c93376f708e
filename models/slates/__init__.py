"""What lists were shown and what came of them: logged slates, exposures, rewards, features."""
