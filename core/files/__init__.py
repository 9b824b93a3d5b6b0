"""Files before anything is known of them: found, mapped, told apart, limited, digested."""
