"""How series are told apart by their class: recipe, inputs, what a preset stores."""
