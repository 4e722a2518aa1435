package language

import "imprint/internal/keyed"

// inputs describes the keys of files that are known by their hash.
var inputs = map[string]keyed.Rule{
	"input": {
		Doc:  "A file by its hash, wherever it is: ${input.NAME} stands for it where a file on the host is named. What is fetched is kept in the build store.",
		Most: maxTables,
	},
	"input.name": {Doc: "Name by which the description refers to the input.", Required: true, Pattern: InputNameForm},
	"input.sha256": {
		Doc:     "SHA-256 of the file. Without it, the error says which line to add.",
		Pattern: DigestForm,
	},
	"input.size": {Doc: "Size of the file in bytes, which then ends what is longer early."},
	"input.locators": {
		Doc: "Where the file is, in the order in which the places are tried: file:PATH, http or https, annex:PATH or annex:KEY in a repository of git-annex, " +
			"ipfs:CID at a gateway, or store:PATH.",
		Required: true, Most: maxPlaces,
	},
}

// TakeInputs are the keys that name a file on the host, in whose place an input may stand.
var TakeInputs = []string{
	"boot.background", "boot.efi-binary", "boot.sign-certificate", "boot.sign-key",
	"partition.content", "partition.file.source", "partition.layer.source", "partition.tree.source", "raw.source", "source.export", "step.inputs.source",
}
