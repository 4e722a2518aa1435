package narinfo

import "fmt"

// CacheFile is the name of the file about a cache.
const CacheFile = "nix-cache-info"

// ParseCache reads the text about a cache, and returns the directory of its store items. What else a cache says about itself, its priority and
// whether it likes many requests, does not matter to those who ask for what they need.
func ParseCache(text string) (storeDir string, err error) {
	for n, line := range lines(text) {
		key, value, err := split(line)
		if err != nil {
			return "", fmt.Errorf("line %d: %v", n, err)
		}
		if key != "StoreDir" {
			continue
		}
		if storeDir != "" {
			return "", fmt.Errorf("line %d: StoreDir is there twice", n)
		}
		storeDir = value
	}
	if storeDir == "" {
		return "", fmt.Errorf("StoreDir is missing")
	}
	return storeDir, nil
}
