//! A dealer, a host for each model, and the keys of all devices.

use std::fs;
use std::path::{Path, PathBuf};

use sharelet_link::Party;
use sharelet_link::Role;
use sharelet_model::Model;
use sharelet_model::readings::{ReadOptions, Readings};
use sharelet_testkit::processes::{Programs, Server};
use sharelet_testkit::rng;
use sharelet_testkit::room::{random_model, random_readings};

/// Readings of a model that are used, with their answers.
const READINGS: usize = 64;
/// The widths of the model that is always there.
const SMALL: [u16; 4] = [16, 32, 8, 3];

/// A model file and readings for it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The model file.
    pub model: PathBuf,
    /// The readings.
    pub readings: PathBuf,
}

/// A model, and what it answers in the clear.
#[derive(Debug)]
pub(crate) struct Twin {
    pub(crate) width: usize,
    pub(crate) frac_bits: u8,
    /// Readings, and their answers by each version of the model.
    pub(crate) rows: Vec<(Vec<f32>, Vec<Vec<u64>>)>,
}

impl Twin {
    pub(crate) fn new(versions: &[&Model], readings: &Readings) -> Self {
        let answer = |model: &Model, row: &[f32]| {
            let words = model.encode(row).ok()?;
            let answer = model.infer(&words).expect("as wide as the model");
            let wide = answer.iter().map(|word| i64::from(word.cast_signed()).cast_unsigned());
            Some(wide.collect())
        };
        let answers = |row: &[f32]| {
            let all: Option<Vec<Vec<u64>>> =
                versions.iter().map(|model| answer(model, row)).collect();
            Some((row.to_vec(), all?))
        };
        let rows: Vec<_> = readings.rows().filter_map(answers).take(READINGS).collect();
        assert!(!rows.is_empty(), "no reading that the model is made for");
        let network = &versions.first().expect("a version").network;
        Self { width: network.inputs(), frac_bits: network.output_frac_bits(), rows }
    }
}

/// One host with its model.
#[derive(Debug)]
pub(crate) struct Hall {
    pub(crate) server: Server,
    pub(crate) twin: Twin,
    /// Where the files of its devices are: for each those of its identity, key and counter.
    pub(crate) devices: Vec<PathBuf>,
    /// The devices that will stop in the middle.
    pub(crate) stoppers: Vec<PathBuf>,
    pub(crate) id: PathBuf,
}

/// All programs.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) dealer: Server,
    pub(crate) halls: Vec<Hall>,
    /// Hosts whose hall was taken apart.
    pub(crate) running: Vec<Server>,
}

impl Services {
    /// Starts a dealer, and a host for each case and for a small random model; `devices` and
    /// `stoppers` are divided among them.
    pub(crate) fn start(
        room: &Programs,
        cases: &[Case],
        seed: u64,
        (devices, stoppers): (usize, usize),
    ) -> Self {
        let mut models = vec![small(seed)];
        models.extend(cases.iter().map(|Case { model, readings }| load(model, readings)));
        let count = models.len();
        fs::create_dir(room.path("devices")).expect("makes");
        let share = |of: usize, hall: usize| of / count + usize::from(hall < of % count);
        let names: Vec<_> = (0..count)
            .map(|hall| {
                let names = |letter: char, of| {
                    let name = move |n: usize| format!("{letter}{hall}-{n}");
                    (0..share(of, hall)).map(name).collect::<Vec<_>>()
                };
                (names('d', devices), names('s', stoppers))
            })
            .collect();
        for (hall, (devices, stoppers)) in names.iter().enumerate() {
            room.works(&format!("keygen host hall-{hall}"));
            room.works(&format!("pair hall-{hall}.id dealer.id"));
            let all = [devices.as_slice(), stoppers].concat().join(" ");
            room.works(&format!(
                "provision {all} --state dealer-state -o devices --peer hall-{hall}.id"
            ));
        }
        let dealer = room.serve("dealer --state dealer-state");
        let start = |(hall, ((model, readings), (devices, stoppers)))| {
            let (model, readings): (Model, Readings) = (model, readings);
            let file = format!("hall-{hall}.slt");
            model.save(&room.path(&file)).expect("saves");
            let server = room.serve(&format!(
                "host {file} --dealer {} --state hall-{hall} --id hall-{hall}.id \
                 --sessions-per-day 1000000",
                dealer.address
            ));
            let path = |name: String| room.path("devices").join(name);
            let paths = |names: Vec<String>| names.into_iter().map(path).collect();
            Hall {
                server,
                twin: Twin::new(&[&model], &readings),
                devices: paths(devices),
                stoppers: paths(stoppers),
                id: room.path(&format!("hall-{hall}.id")),
            }
        };
        let halls = models.into_iter().zip(names).enumerate().map(start).collect();
        Self { dealer, halls, running: Vec::new() }
    }

    /// The numbers of all programs, the dealer's first.
    pub(crate) fn ids(&self) -> Vec<u32> {
        let halls = self.halls.iter().map(|hall| hall.server.program.id());
        core::iter::once(self.dealer.program.id()).chain(halls).collect()
    }
}

pub(crate) fn small(seed: u64) -> (Model, Readings) {
    let mut rng = rng(seed);
    let model = random_model(&SMALL, &mut rng);
    let readings = random_readings(&model, READINGS, &mut rng);
    (model, readings)
}

pub(crate) fn load(model: &Path, readings: &Path) -> (Model, Readings) {
    let model = Model::load(model).expect("a model");
    let options = ReadOptions { width: Some(model.network.inputs()), divide: None };
    let readings = Readings::load(readings, options).expect("readings");
    (model, readings)
}

/// Somebody with a device's name.
pub(crate) fn device(name: &str) -> Party {
    Party::new(Role::Device, name).expect("a name")
}
