//! What programs keep, as `sharelet doctor` looks at it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use sharelet_host::store::StoreError;
use sharelet_host::store::dealer::{self, DealerStore};
use sharelet_host::store::halves::{self, HalvesError};
use sharelet_host::store::host::{self, HostStore};
use sharelet_host::store::witness;
use sharelet_model::Model;

use super::Findings;
use crate::store::LookedAtArgs;

impl Findings {
    pub(super) fn state(&mut self, path: &Path) -> Result<()> {
        let shown = path.display();
        let is_there = |record: &str| path.join(record).exists();
        let looked = if is_there(dealer::RECORD) {
            DealerStore::open(path).and_then(|store| {
                let (keys, models) = (store.device_count()?, store.model_count()?);
                let keys = format!("keys of {keys} devices and {models} masked models");
                Ok(format!("{shown}: a dealer with {keys}"))
            })
        } else if is_there(host::RECORD) {
            HostStore::open(path).and_then(|store| {
                let stock = store.stock()?;
                let sessions: usize = stock.iter().map(|(_, sessions)| sessions).sum();
                let (devices, none) = (stock.len(), stock.iter().filter(|(_, n)| *n == 0).count());
                Ok(format!(
                    "{shown}: a host with {sessions} sessions ready for {devices} devices, none \
                     for {none} of them"
                ))
            })
        } else if is_there(witness::RECORD) {
            let seen = "what this machine has seen of a store; see `sharelet store show`";
            return self.good(format!("{shown}: {seen}"));
        } else {
            return match self.halves(path)? {
                0 => self.wrong(format!("{shown}: no state of a dealer, host or server 1")),
                _ => self.privacy(path),
            };
        };
        self.halves(path)?;
        match looked {
            Ok(looked) => {
                self.good(looked)?;
                self.privacy(path)
            }
            Err(StoreError::Locked { .. }) => {
                self.good(format!("{shown}: in use by a program that runs"))
            }
            Err(error) => self.wrong(error),
        }
    }

    /// The stores in a state of two that prepare with each other; how many there are.
    fn halves(&mut self, state: &Path) -> Result<usize> {
        let mut stores = Vec::new();
        for peer in self.entries(state)? {
            stores.extend(self.entries(&peer)?.into_iter().filter(|store| is_store(store)));
        }
        for store in &stores {
            let shown = store.display();
            match halves::look(store) {
                Ok(stock) => {
                    let (next, ready) = (stock.next, stock.ready());
                    self.good(format!("{shown}: {ready} inferences ready, the next is {next}"))?;
                }
                Err(HalvesError::Store(StoreError::Locked { .. })) => {
                    self.good(format!("{shown}: in use by a program that runs"))?;
                }
                Err(error) => self.wrong(error)?,
            }
        }
        Ok(stores.len())
    }

    pub(super) fn models(&mut self, path: &Path) -> Result<()> {
        let shown = path.display();
        let mut files = match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.entries(path)?,
            Ok(_) => vec![path.to_owned()],
            Err(error) => return self.wrong(format!("{shown}: {error}")),
        };
        files.retain(|file| file == path || file.extension().is_some_and(|end| end == "slt"));
        if files.is_empty() {
            return self.wrong(format!("{shown}: no model; see `sharelet models --help`"));
        }
        for file in files {
            match Model::load(&file) {
                Ok(model) => {
                    let network = &model.network;
                    let (inputs, outputs) = (network.inputs(), network.outputs());
                    let shown = file.display();
                    self.good(format!("{shown}: a model of {inputs} inputs, {outputs} outputs"))?;
                    self.privacy(&file)?;
                }
                Err(error) => self.wrong(error)?,
            }
        }
        Ok(())
    }

    /// What the host or dealer keeps beyond this machine.
    pub(super) fn store(&mut self, args: &LookedAtArgs, id: Option<&Path>) -> Result<()> {
        match args.summary(id) {
            Ok(Some(shown)) => self.good(shown),
            Ok(None) => Ok(()),
            Err(error) => self.wrong(format!("{error:#}")),
        }
    }

    /// What is in a folder, by name; nothing, where it is none.
    fn entries(&mut self, folder: &Path) -> Result<Vec<PathBuf>> {
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let listed = std::fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
        let mut entries: Vec<PathBuf> = match listed {
            Ok(entries) => entries,
            Err(error) => {
                self.wrong(format!("{}: {error}", folder.display()))?;
                return Ok(Vec::new());
            }
        };
        entries.sort_unstable();
        Ok(entries)
    }
}

fn is_store(folder: &Path) -> bool {
    folder.join(halves::RECORD).exists()
}
